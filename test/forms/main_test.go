package forms

import (
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
