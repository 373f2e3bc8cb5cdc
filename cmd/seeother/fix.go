package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/internal/durable"
	"github.com/seeother/seeother/rule"
)

// mend writes the fixes that are safe into the files, says which, and reads the
// rules again.
func (f *checkFlags) mend(cmd *cobra.Command, set *ruleSet, args []string) (*ruleSet, error) {
	fixes := make(map[string]map[int]rule.Finding)
	f.each(cmd, set, func(found rule.Finding) {
		if found.Fix == nil || found.Line == 0 || slices.Contains(f.ignore, found.ID) {
			return
		}
		if fixes[found.File] == nil {
			fixes[found.File] = make(map[int]rule.Finding)
		}
		if old, ok := fixes[found.File][found.Line]; !ok || found.Fix.Delete && !old.Fix.Delete {
			fixes[found.File][found.Line] = found
		}
	})
	if len(fixes) == 0 {
		mended(cmd, "nothing: there is no mend that is safe to write")
		return set, nil
	}
	for _, file := range set.files {
		if err := mendFile(cmd, file, fixes[file]); err != nil {
			return nil, err
		}
	}
	return f.files.read(args)
}

// mendFile makes the fixes of one file. One that the file cannot say is told
// and left out.
func mendFile(cmd *cobra.Command, file string, found map[int]rule.Finding) error {
	if len(found) == 0 {
		return nil
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	fixes := make(map[int]rule.Fix, len(found))
	for line, f := range found {
		fixes[line] = *f.Fix
	}
	out, left, err := rewrite(file, text, fixes)
	if err != nil {
		return fmt.Errorf("file %q: %w", file, err)
	}
	for _, line := range sortedKeys(left) {
		mended(cmd, "not %s:%d: %v", file, line, left[line])
	}
	if len(fixes) == 0 {
		return nil
	}
	if err := replace(file, out); err != nil {
		return err
	}
	for _, line := range sortedKeys(fixes) {
		mended(cmd, "%s:%d: %s [%s]", file, line, change(fixes[line]), found[line].ID)
	}
	return nil
}

// mended tells what was done, beside what is found.
func mended(cmd *cobra.Command, format string, args ...any) {
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "seeother: mended: %s\n", cleaned(fmt.Sprintf(format, args...))) // nobody reads it, if anything
}

func change(fix rule.Fix) string {
	if fix.Delete {
		return "the rule is taken out"
	}
	return fmt.Sprintf("%s is %s now", fix.Field, fix.Value)
}

func sortedKeys[V any](m map[int]V) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// maxLeft bounds how many fixes of a file are tried in vain.
const maxLeft = 100

// rewrite makes the fixes. Those that cannot be made move from fixes to left.
func rewrite(file string, text []byte, fixes map[int]rule.Fix) (out []byte, left map[int]error, err error) {
	left = make(map[int]error)
	format, _ := rule.FormatOf(file)
	for len(fixes) > 0 {
		if format == rule.FormatYAML {
			out, err = rewriteYAML(file, text, fixes)
		} else {
			var b bytes.Buffer
			err = rule.Rewrite(bytes.NewReader(text), &b, format, fixes)
			out = b.Bytes()
		}
		if err == nil {
			return out, left, nil
		}
		line := 0
		if at, ok := errors.AsType[*lineError](err); ok {
			line = at.line
		} else if n, _ := fmt.Sscanf(err.Error(), "line %d:", &line); n != 1 {
			return nil, nil, err
		}
		if _, ok := fixes[line]; !ok || len(left) == maxLeft {
			return nil, nil, err
		}
		left[line] = err
		delete(fixes, line)
	}
	return text, left, nil
}

// lineError is why a fix cannot be made.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return e.err.Error() }
func (e *lineError) Unwrap() error { return e.err }

// replace writes a file anew, behind a symbolic link, too, with the mode that it
// has.
func replace(file string, text []byte) error {
	path, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return durable.WriteFile(path, text, info.Mode().Perm())
}
