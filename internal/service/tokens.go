package service

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MinToken is the shortest token, in bytes: nothing slows guessing down.
const MinToken = 16

// ParseTokens reads lines of tenant:token. Empty ones, and those that begin with
// #, say nothing. An error names the line, and no token.
func ParseTokens(r io.Reader) (map[string]string, error) {
	out := map[string]string{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, token, ok := strings.Cut(line, ":")
		name, token = strings.TrimSpace(name), strings.TrimSpace(token)
		switch {
		case !ok || name == "" || len(name) > 64 || strings.ContainsFunc(name, notInTenant):
			return nil, fmt.Errorf("line %d: want tenant:token, the tenant of 1 to 64 letters, digits, - and _", n)
		case len(token) < MinToken || len(token) > 1000 || strings.ContainsAny(token, " \t"):
			return nil, fmt.Errorf("line %d: the token of tenant %q: want %d to 1000 bytes without spaces, such as openssl rand -hex 32 makes", n, name, MinToken)
		case out[token] != "":
			return nil, fmt.Errorf("line %d: the token of tenant %q is that of %q, too", n, name, out[token])
		}
		out[token] = name
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New("no tokens: want lines of tenant:token")
	}
	return out, nil
}

func notInTenant(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
}
