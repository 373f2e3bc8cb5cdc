package admin

import (
	"maps"

	"github.com/seeother/seeother/once"
)

// Short forms for the schemas below.

func ref(name string) schema          { return schema{"$ref": "#/components/schemas/" + name} }
func text() schema                    { return schema{"type": "string"} }
func boolean() schema                 { return schema{"type": "boolean"} }
func moment() schema                  { return schema{"type": "string", "format": "date-time"} }
func list(of schema) schema           { return schema{"type": "array", "items": of} }
func about(s schema, t string) schema { s["description"] = t; return s }

func enum(values ...string) schema { return schema{"type": "string", "enum": values} }

// integer is a whole number from least to most; a negative most is no limit.
func integer(least, most int) schema {
	s := schema{"type": "integer", "minimum": least}
	if most >= 0 {
		s["maximum"] = most
	}
	return s
}

// object allows these members and no others; those after the map must be there.
func object(members map[string]schema, required ...string) schema {
	return schema{"type": "object", "properties": members, "required": required, "additionalProperties": false}
}

// schemas are the values that go in and out, by name. A test holds answers of
// a real server against them.
func schemas() map[string]schema {
	out := ruleSchemas()
	maps.Copy(out, maintenanceSchemas())
	maps.Copy(out, map[string]schema{
		"Any":   {"type": "object"},
		"Alive": object(map[string]schema{"alive": boolean()}, "alive"),
		"Check": object(map[string]schema{
			"name": text(), "ok": boolean(), "error": about(text(), "Why not; only with access."),
			"detail": about(text(), "What should be looked at although it is ready; only with access."),
		}, "name", "ok"),
		"Readiness": object(map[string]schema{
			"ready": boolean(), "stopping": boolean(), "checks": list(ref("Check")),
		}, "ready", "stopping", "checks"),
		"Status": object(map[string]schema{
			"version": text(), "started": moment(), "uptimeSeconds": {"type": "number", "minimum": 0},
			"listen": text(), "upstream": text(), "health": ref("Readiness"),
			"decisions": about(integer(0, -1), "Made since the start."), "once": ref("OnceStats"), "stages": list(ref("PolicyStage")),
		}, "version", "started", "uptimeSeconds", "health", "decisions", "stages"),
		"OnceStats": object(map[string]schema{
			"active": about(integer(0, -1), "Requests that run or wait."), "running": integer(0, -1),
			"uncertain": about(integer(0, -1), "Records that somebody should resolve."),
			"memory":    about(integer(0, -1), "Bytes of bodies and answers held."),
			"outcomes":  {"type": []string{"object", "null"}, "additionalProperties": integer(0, -1)},
		}, "active", "running", "uncertain", "memory", "outcomes"),
		"Decisions": object(map[string]schema{"decisions": list(ref("Decision"))}, "decisions"),
		"Decision": object(map[string]schema{
			"id": integer(0, -1), "time": moment(), "policy": text(), "action": text(), "route": text(), "stage": ref("Stage"),
			"applied": about(boolean(), "False: only reported, nothing was changed."), "method": text(),
			"path":   about(text(), "Escaped, without the query."),
			"before": about(integer(100, 999), "What the app answered."), "after": about(integer(100, 999), "What the client got, or would have got."),
			"reason": text(), "record": about(text(), "The run-once record that this is about."),
		}, "id", "time", "policy", "action", "stage", "applied", "method", "path", "reason"),
		"Records": object(map[string]schema{
			"records": list(ref("Record")), "cursor": about(text(), "For the next page; empty on the last."),
		}, "records", "cursor"),
		"Record": object(map[string]schema{
			"id": text(), "state": enum(recordStates...), "generation": about(integer(1, -1), "How often the key was started."),
			"method": text(), "host": text(), "path": text(), "route": text(),
			"principal": about(text(), "What kind of credential the client showed."),
			"keyHash":   about(text(), "SHA-256 of the client's key, in hex."), "reason": text(),
			"started": moment(), "ended": moment(), "leaseEnds": moment(), "expires": moment(),
			"status": about(integer(0, 999), "Of the answer."), "bodyKept": boolean(), "resolvedBy": about(text(), "An operator's note."),
		}, "id", "state", "generation", "method", "host", "path", "principal", "keyHash", "started", "bodyKept"),
		"Resolution": object(map[string]schema{
			"as":   about(enum(once.StateCompleted, once.StateReleased), "completed: it happened, and is never run again. released: it did not, and may start again."),
			"note": {"type": "string", "maxLength": maxNote, "description": "Who, and how they know; kept on the record."},
		}, "as"),
		"Stage":       {"type": "string", "pattern": `^(off|report|canary [1-9][0-9]?%|enforce)$`},
		"PolicyStage": object(map[string]schema{"name": text(), "stage": ref("Stage")}, "name", "stage"),
		"Stages":      object(map[string]schema{"stages": list(ref("PolicyStage"))}, "stages"),
		"StageChange": object(map[string]schema{"name": text(), "stage": ref("Stage")}, "name", "stage"),
		"Problem":     {"type": "object", "properties": problemMembers(nil), "required": problemRequired},
		"SmokeProblem": {
			"type": "object", "required": append([]string{"failed"}, problemRequired...),
			"properties": problemMembers(map[string]schema{"failed": list(ref("SmokeFailure"))}),
		},
		"SmokeFailure": object(map[string]schema{
			"name": text(), "method": text(), "path": text(), "want": text(), "got": text(),
		}, "name", "method", "path", "want", "got"),
	})
	return out
}

var problemRequired = []string{"type", "title", "status"}

// problemMembers are the members of RFC 9457 section 3.1 and more; a problem
// may always have further ones.
func problemMembers(more map[string]schema) map[string]schema {
	members := map[string]schema{
		"type": {"type": "string", "format": "uri"}, "title": text(), "status": integer(400, 599), "detail": text(),
	}
	maps.Copy(members, more)
	return members
}
