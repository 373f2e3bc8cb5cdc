package configfile

import (
	_ "embed"
	"slices"
)

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema of the file (draft 2020-12), for editors and
// checks. It is made from this package's types by a test, which also holds
// that it is current.
func Schema() []byte { return slices.Clone(schema) }
