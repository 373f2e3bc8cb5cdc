package rulefiles

import (
	"io/fs"
	"os"
)

// stamp is how files looked at one time: which there are, and of each what
// changes with its content. Symbolic links are followed, so that one that is
// pointed elsewhere looks different.
type stamp map[string]fs.FileInfo

// stampOf looks at the files that names stand for. A file that is not there is
// in it too, as nil.
func stampOf(names []string) stamp {
	files, _ := find(names)
	s := make(stamp, len(files))
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			info = nil
		}
		s[file] = info
	}
	return s
}

func (s stamp) equal(other stamp) bool {
	if len(s) != len(other) {
		return false
	}
	for file, a := range s {
		b, ok := other[file]
		if !ok || (a == nil) != (b == nil) {
			return false
		}
		if a != nil && (a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime()) || a.Mode() != b.Mode() || !os.SameFile(a, b) || changed(a) != changed(b)) {
			return false
		}
	}
	return true
}
