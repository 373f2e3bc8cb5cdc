// Package rulefiles keeps a table of redirect rules as current as the files
// that it is made of: it finds the files by their names and patterns, reads and
// checks all of them together, and notices when one changes, comes or goes.
package rulefiles
