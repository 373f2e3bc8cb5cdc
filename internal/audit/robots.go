package audit

import (
	"bufio"
	"io"
	"strings"
)

const (
	robotsAgent   = "seeother-audit"
	maxRobots     = 512 << 10 // bytes that are read (RFC 9309 section 2.5 wants 500 KiB)
	maxRobotRules = 5000
)

// robotRule is one line of a group.
type robotRule struct {
	pattern string
	allow   bool
}

// robots are the rules of one robots.txt for us (RFC 9309). The zero value lets
// us go everywhere.
type robots struct{ rules []robotRule }

// readRobots reads the groups that name robotsAgent, or else those for "*".
func readRobots(r io.Reader) robots {
	var ours, all []robotRule
	var named, forUs, forAll, inRules bool
	lines := bufio.NewScanner(io.LimitReader(r, maxRobots))
	lines.Buffer(nil, maxRobots)
	for lines.Scan() {
		text, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), "#")
		key, value, ok := strings.Cut(text, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch key = strings.ToLower(strings.TrimSpace(key)); key {
		case "user-agent":
			if inRules { // a new group
				forUs, forAll, inRules = false, false, false
			}
			forUs = forUs || strings.EqualFold(value, robotsAgent)
			forAll = forAll || value == "*"
			named = named || forUs
		case "allow", "disallow":
			inRules = true
			rule := robotRule{value, key == "allow"}
			if value == "" {
				continue // no rule: everything is allowed as it is
			}
			if forUs && len(ours) < maxRobotRules {
				ours = append(ours, rule)
			}
			if forAll && len(all) < maxRobotRules {
				all = append(all, rule)
			}
		}
	}
	if named {
		return robots{ours}
	}
	return robots{all}
}

// allow reports whether we may ask for a path with its query: the longest
// pattern wins, and between equals the one that allows.
func (r robots) allow(path string) bool {
	longest, allow := -1, true
	for _, rule := range r.rules {
		if n := len(rule.pattern); n >= longest && matchRobots(rule.pattern, path) {
			if n > longest || rule.allow {
				longest, allow = n, rule.allow
			}
		}
	}
	return allow
}

// matchRobots knows "*" and a "$" at the end. It takes no more than the product
// of both lengths.
func matchRobots(pattern, path string) bool {
	pattern, anchored := strings.CutSuffix(pattern, "$")
	first, rest, star := strings.Cut(pattern, "*")
	if !strings.HasPrefix(path, first) {
		return false
	}
	path = path[len(first):]
	if !star {
		return !anchored || path == ""
	}
	parts := strings.Split(rest, "*")
	for i, part := range parts {
		if anchored && i == len(parts)-1 {
			return strings.HasSuffix(path, part)
		}
		at := strings.Index(path, part)
		if at < 0 {
			return false
		}
		path = path[at+len(part):]
	}
	return true
}
