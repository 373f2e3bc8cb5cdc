package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

var passed = regexp.MustCompile(`(?m)^# pass (\d+)$`)

func TestTypeScript(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	need(t, "node", err)
	npm, err := exec.LookPath("npm")
	need(t, "npm", err)
	dir, err := filepath.Abs("../../clients/typescript")
	if err != nil {
		t.Fatal(err)
	}
	compiler := filepath.Join(dir, "node_modules/typescript/bin/tsc")
	if _, err := os.Stat(compiler); err != nil {
		out, err := exec.Command(npm, "ci", "--prefix", dir, "--no-audit", "--no-fund").CombinedOutput()
		if err != nil {
			t.Logf("npm ci: %s", out)
		}
		need(t, "the TypeScript compiler from npm", err)
	}
	at := serve(t)
	suite(t, at, dir, nil, node, compiler, "-p", "tsconfig.json")
	for part, least := range map[string]int{"service.test.js": 21, "transport.test.js": 34} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			out := suite(t, at, dir, nil, node, "--test", "--test-reporter=tap", "test/"+part)
			found := passed.FindStringSubmatch(out)
			if found == nil {
				t.Fatalf("no count:\n%s", out)
			}
			if n, _ := strconv.Atoi(found[1]); n < least { // digits
				t.Errorf("%d tests passed, want %d:\n%s", n, least, out)
			}
		})
	}
}
