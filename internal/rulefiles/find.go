package rulefiles

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/seeother/seeother/rule"
)

// find resolves names and patterns (filepath.Match) to files, each once, in the
// order of the names and below one pattern in that of the alphabet. What begins
// with a dot is found only by a pattern whose last element does: Kubernetes
// keeps its own things so beside the files that it mounts. A name is given as it
// is, whether there is a file or not.
func find(names []string) ([]string, []rule.Finding) {
	var files []string
	var findings []rule.Finding
	seen := make(map[string]bool)
	for _, name := range names {
		found, wrong := expand(name)
		if wrong != "" {
			findings = append(findings, failed("no-files", name, wrong))
		}
		for _, file := range found {
			if file = filepath.Clean(file); !seen[file] {
				seen[file] = true
				files = append(files, file)
			}
		}
	}
	return files, findings
}

func expand(name string) (files []string, wrong string) {
	if _, err := os.Lstat(name); err == nil || !strings.ContainsAny(name, `*?[\`) {
		return []string{name}, ""
	}
	found, err := filepath.Glob(name)
	if err != nil {
		return nil, "the pattern is malformed: a bracket is not closed, or nothing follows a backslash"
	}
	hidden := strings.HasPrefix(filepath.Base(name), ".")
	for _, file := range found {
		if hidden || !strings.HasPrefix(filepath.Base(file), ".") {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return nil, "the pattern matches no file"
	}
	return files, ""
}

func failed(id, file, message string) rule.Finding {
	return rule.Finding{ID: id, Severity: rule.Error, File: file, Message: message}
}

// reason is err without the file, which is named already.
func reason(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
