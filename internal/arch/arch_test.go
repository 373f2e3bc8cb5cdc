package arch

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.." // of the module, as seen from this folder

// imported is one import line of one file.
type imported struct {
	folder string // of the file, from the module's root, with slashes
	path   string
	where  string // file:line
	test   bool
}

func TestImportsFollowTheDirection(t *testing.T) {
	t.Parallel()
	for _, i := range imports(t, os.DirFS(root)) {
		if err := check(rules, i.folder, i.path, i.test); err != nil {
			t.Errorf("%s: %v", i.where, err)
		}
	}
}

func TestEveryRuleHasItsPackage(t *testing.T) {
	t.Parallel()
	for folder := range rules {
		if files, err := filepath.Glob(filepath.Join(root, folder, "*.go")); err != nil || len(files) == 0 {
			t.Errorf("package %q has a rule and no Go file: remove the rule", folder)
		}
	}
}

// The check is what holds the house, so it must be seen to refuse.
func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, folder, path string
		test               bool
		want               string // part of the error; empty means allowed
	}{
		{name: "the standard library is free to all", folder: ".", path: "net/http"},
		{name: "the gateway may use the guard", folder: "internal/gateway", path: module + "/once"},
		{name: "cmd may open a store", folder: "cmd/seeother", path: module + "/store/open"},
		{name: "a folder of tests may import anything", folder: "test/e2e", path: module + "/internal/gateway"},
		{name: "tests may use a store that works in memory", folder: "once", path: module + "/store/memstore", test: true},
		{name: "tests from outside may import their own package", folder: "once", path: module + "/once", test: true},
		{name: "a module that is allowed, in a deeper package", folder: "store/boltstore", path: "go.etcd.io/bbolt/errors"},

		{name: "the root package takes nothing from other modules", folder: ".", path: "golang.org/x/net/http/httpguts", want: `package "." imports`},
		{name: "the root package takes no leaf", folder: ".", path: module + "/internal/problem", want: "against the direction"},
		{name: "siblings do not import each other", folder: "internal/gateway", path: module + "/internal/configfile", want: "against the direction"},
		{name: "nothing imports upwards", folder: "once", path: module + "/internal/gateway", want: "against the direction"},
		{name: "the guard knows no single store", folder: "once", path: module + "/store/boltstore", want: "against the direction"},
		{name: "only cmd opens stores by URL", folder: "internal/rollout", path: module + "/store/open", want: "against the direction"},
		{name: "a leaf imports nothing of ours", folder: "internal/trust", path: module + "/store", want: "against the direction"},
		{name: "a prefix is whole elements", folder: "store/boltstore", path: "go.etcd.io/bbolt2", want: "against the direction"},
		{name: "tests do not import upwards either", folder: "once", path: module + "/internal/gateway", test: true, want: `tests of "once"`},
		{name: "nothing imports the packages of tests", folder: "cmd/seeother", path: module + "/test/e2e", want: "against the direction"},
		{name: "a new package must be entered", folder: "internal/util", path: module + "/store", want: "is new: add it"},
		{name: "also one that imports only the standard library", folder: "internal/util", path: "strings", want: "is new: add it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := check(rules, tt.folder, tt.path, tt.test)
			if got := fmt.Sprint(err); err == nil && tt.want != "" || err != nil && (tt.want == "" || !strings.Contains(got, tt.want)) {
				t.Errorf("check(%q, %q) = %v, want %q", tt.folder, tt.path, err, tt.want)
			}
		})
	}
}

// imports reads the import lines of every Go file of the module. A file
// without any is entered with an empty path, so that its package is seen too.
func imports(t *testing.T, dir fs.FS) []imported {
	t.Helper()
	var all []imported
	walkGo(t, dir, func(name string) {
		src, err := fs.ReadFile(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, src, parser.ImportsOnly)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		i := imported{folder: path.Dir(name), where: name, test: strings.HasSuffix(name, "_test.go")}
		if len(file.Imports) == 0 {
			all = append(all, i)
		}
		for _, spec := range file.Imports {
			i.where = set.Position(spec.Pos()).String()
			if i.path, err = strconv.Unquote(spec.Path.Value); err != nil {
				t.Fatal(err) // the parser has accepted it
			}
			all = append(all, i)
		}
	})
	if len(all) < 10 {
		t.Fatalf("only %d imports found: is %q the module's root?", len(all), root)
	}
	return all
}

// walkGo calls visit for each Go file of the module: not of the modules below
// it, of testdata, nor of folders that the go command does not look into.
func walkGo(t *testing.T, dir fs.FS, visit func(name string)) {
	t.Helper()
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() {
			if strings.HasSuffix(name, ".go") {
				visit(name)
			}
			return nil
		}
		if name == "." {
			return nil
		}
		_, err = fs.Stat(dir, name+"/go.mod")
		if err == nil || slices.Contains([]string{"testdata", "node_modules", "vendor"}, d.Name()) || strings.ContainsRune("._", rune(d.Name()[0])) {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
