package arch

import (
	"fmt"
	"slices"
	"strings"
)

const module = "github.com/seeother/seeother"

// rule says what one package of ours may import. The standard library is free
// to all. A package that is in no rule may not exist.
type rule struct {
	ours   []string // folders of this module, "." is the root package
	others []string // import path prefixes of other modules
}

// leaves import nothing of ours, and everyone may import them but the root
// package, which stands on the standard library alone.
var leaves = []string{"internal/durable", "internal/filelock", "internal/keyring", "internal/problem", "internal/terminal", "internal/trust"}

// stores are the adapters behind the store contract.
var stores = []string{"store/memstore", "store/boltstore", "store/journalstore", "store/redisstore", "store/pgstore"}

// storeParts are what stores share: checking, planning and waking waiters.
var storeParts = []string{"store/internal/contract", "store/internal/queue", "store/internal/wake"}

// rules is the direction of imports, one line for each package by its folder.
var rules = map[string]rule{
	".": {},

	"client": {},

	"internal/durable":  {others: []string{"golang.org/x/sys/unix"}},
	"internal/filelock": {others: []string{"golang.org/x/sys/unix"}},
	"internal/keyring":  {},
	"internal/problem":  {},
	"internal/terminal": {},
	"internal/trust":    {},
	"internal/arch":     {},

	"store":              {ours: leaves},
	"store/memstore":     {ours: with(storeParts, with(leaves, "store")...)},
	"store/boltstore":    {ours: with(storeParts, with(leaves, "store")...), others: []string{"go.etcd.io/bbolt"}},
	"store/journalstore": {ours: with(storeParts, with(leaves, "store")...), others: []string{"golang.org/x/sys/unix"}},
	"store/redisstore":   {ours: with(storeParts, with(leaves, "store")...), others: []string{"github.com/redis/rueidis"}},
	"store/pgstore":      {ours: with(storeParts, with(leaves, "store")...), others: []string{"github.com/jackc/pgx"}},

	"internal/openapitest": {},
	"internal/servertest":  {others: []string{"github.com/jackc/pgx"}},

	"store/storetest": {ours: with(leaves, "store"), others: []string{"pgregory.net/rapid", "github.com/anishathalye/porcupine"}},
	"store/open":      {ours: with(leaves, append([]string{"store"}, stores...)...)},

	"store/internal/contract": {ours: with(leaves, "store")},
	"store/internal/queue":    {ours: with(leaves, "store", "store/internal/wake")},
	"store/internal/wake":     {ours: with(leaves, "store")},

	"rule":          {ours: []string{"."}},
	"rule/importer": {ours: []string{".", "rule"}, others: []string{"github.com/pelletier/go-toml"}},

	"once": {ours: with(leaves, ".", "store"), others: []string{"github.com/dunglas/httpsfv", "golang.org/x/sync"}},

	"form/internal/rewrite": {others: []string{"golang.org/x/net"}},
	"form":                  {ours: with(leaves, ".", "once", "store", "form/internal/rewrite"), others: []string{"github.com/dunglas/httpsfv", "golang.org/x/net"}},

	"operation": {ours: with(leaves, ".", "once", "store"), others: []string{"github.com/dunglas/httpsfv"}},

	"internal/gateway": {
		ours:   with(leaves, ".", "form", "once", "operation", "rule"),
		others: []string{"golang.org/x/net", "golang.org/x/sync"},
	},
	"internal/maintenance": {ours: with(leaves, "store")},
	"internal/rollout":     {ours: with(leaves, ".", "store")},
	"internal/rulefiles":   {ours: with(leaves, ".", "rule")},
	"internal/hits":        {ours: with(leaves, ".", "rule", "store")},
	"internal/configfile":  {ours: []string{".", "rule"}, others: []string{"github.com/goccy/go-yaml", "github.com/invopop/jsonschema"}},
	"internal/service":     {ours: with(leaves, ".", "once", "store"), others: []string{"github.com/invopop/jsonschema"}},
	"internal/admin":       {ours: with(leaves, ".", "once"), others: []string{"github.com/prometheus/client_golang"}},
	"internal/demo":        {ours: with(leaves, ".")},
	"internal/guide":       {ours: with(leaves, ".")},
	"internal/trace":       {ours: with(leaves, "."), others: []string{"golang.org/x/net"}},
	"internal/audit":       {ours: with(leaves, "."), others: []string{"github.com/goccy/go-yaml", "golang.org/x/net", "golang.org/x/sys"}},
	"internal/repeats":     {ours: with(leaves, ".")},

	"cmd/seeother": {
		ours: with(leaves, ".", "form", "once", "operation", "rule", "rule/importer", "store", "store/open", "internal/admin", "internal/configfile",
			"internal/audit", "internal/demo", "internal/gateway", "internal/guide", "internal/hits", "internal/maintenance", "internal/rollout", "internal/repeats", "internal/rulefiles", "internal/service", "internal/trace"),
		others: []string{"github.com/spf13/cobra", "github.com/lmittmann/tint", "golang.org/x/sys/unix"},
	},

	"bench/internal/rig": {},
	"bench/ruleset":      {},
	"bench/forms":        {ours: []string{"bench/internal/rig"}},
	"bench/proxy":        {ours: []string{"bench/internal/rig"}},
	"bench/rules":        {ours: []string{"bench/internal/rig", "bench/ruleset"}},
	"bench/stores": {
		ours:   with(stores, "bench/internal/rig", "internal/servertest", "store"),
		others: []string{"github.com/jackc/pgx", "github.com/redis/rueidis", "go.etcd.io/bbolt"},
	},
}

// Test files may import what their package may, and these.
var testsMayImport = rule{
	ours: with(leaves, append([]string{".", "store", "store/storetest", "internal/openapitest", "internal/servertest", "bench/ruleset"}, stores...)...),
	others: []string{
		"github.com/chromedp", "github.com/coder/websocket", "github.com/rogpeppe/go-internal",
		"golang.org/x", "pgregory.net/rapid",
	},
}

// free are folders whose packages only serve tests or readers: they may import
// anything, and nothing of ours may import them.
var free = []string{"test", "examples"}

func with(base []string, more ...string) []string {
	return append(slices.Clone(base), more...)
}

// check decides whether a file in folder may import path. It knows nothing of
// the disk: rules come in, an error or nil goes out.
func check(rules map[string]rule, folder, path string, test bool) error {
	if isFree(folder) {
		return nil
	}
	r, known := rules[folder]
	if !known {
		return fmt.Errorf("package %q is new: add it to rules in internal/arch/rules_test.go and say there what it may import", folder)
	}
	if isStandard(path) {
		return nil
	}
	if r.allows(path) || test && (testsMayImport.allows(path) || path == join(folder)) {
		return nil
	}
	if test {
		return fmt.Errorf("the tests of %q import %q: move what they need, or allow it in internal/arch/rules_test.go", folder, path)
	}
	return fmt.Errorf("package %q imports %q, against the direction of the house: pass it in from cmd, or allow it in internal/arch/rules_test.go", folder, path)
}

func (r rule) allows(path string) bool {
	if path == module || strings.HasPrefix(path, module+"/") {
		return slices.ContainsFunc(r.ours, func(folder string) bool { return path == join(folder) })
	}
	return slices.ContainsFunc(r.others, func(prefix string) bool {
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	})
}

func isFree(folder string) bool {
	top, _, _ := strings.Cut(folder, "/")
	return slices.Contains(free, top)
}

// isStandard: only the standard library has no dot in its first element. A
// file that imports nothing, with "" for a path, counts as well.
func isStandard(path string) bool {
	top, _, _ := strings.Cut(path, "/")
	return !strings.Contains(top, ".")
}

func join(folder string) string {
	if folder == "." {
		return module
	}
	return module + "/" + folder
}
