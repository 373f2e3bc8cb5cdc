package rule

// File is a file of a table, and how many rules are from it.
type File struct {
	Name  string
	Rules int
	Mode  Mode // how its rules are tried
}

// Files are the files that rules are from, in the order in which they were
// begun.
func (t *Table) Files() []File {
	var out []File
	seen := map[string]int{}
	for i, name := range t.files {
		if at, ok := seen[name]; ok {
			out[at].Rules += t.counts[i]
			continue
		}
		seen[name] = len(out)
		out = append(out, File{name, t.counts[i], t.modes[i]})
	}
	return out
}
