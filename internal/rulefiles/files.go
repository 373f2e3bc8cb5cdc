package rulefiles

import "github.com/seeother/seeother/rule"

// Find is which files names and patterns stand for, as Read sees them, for who
// wants to read them without a Set. A name is given as it is, whether there is
// a file or not.
func Find(names []string) ([]string, []rule.Finding) { return find(names) }
