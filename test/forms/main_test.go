package forms

import (
	"flag"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

func TestMain(m *testing.M) {
	// Most of the time a test waits for a browser: more of them run than there are cores.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	harness.Main(m)
}
