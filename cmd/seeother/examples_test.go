package main

import (
	"bytes"
	"path/filepath"
	"testing"
)

// The examples of rules are what a check finds nothing worse than an info in.
func TestExamplesAreClean(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../examples/rules/*")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	for _, file := range files {
		var out, errOut bytes.Buffer
		if code := execute(t.Context(), []string{"check", "--strict", file}, &out, &errOut); code != 0 || errOut.Len() > 0 {
			t.Errorf("%s: exit code %d\n%s%s", file, code, &out, &errOut)
		}
	}
}
