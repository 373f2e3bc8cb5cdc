package admin

import (
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func readDocs(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sources parses the Go files of a folder, without tests.
func sources(t *testing.T, folder string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var out []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, file)
	}
	if len(out) == 0 {
		t.Fatalf("no Go files in %q", folder)
	}
	return out
}

// statusOf is the number of http.StatusX, as it stands in the source.
var statusOf = map[string]int{
	"StatusBadRequest": http.StatusBadRequest, "StatusUnauthorized": http.StatusUnauthorized, "StatusForbidden": http.StatusForbidden,
	"StatusNotFound": http.StatusNotFound, "StatusGone": http.StatusGone, "StatusMethodNotAllowed": http.StatusMethodNotAllowed, "StatusRequestTimeout": http.StatusRequestTimeout,
	"StatusConflict": http.StatusConflict, "StatusTooEarly": http.StatusTooEarly, "StatusRequestEntityTooLarge": http.StatusRequestEntityTooLarge,
	"StatusUnsupportedMediaType": http.StatusUnsupportedMediaType, "StatusUnprocessableEntity": http.StatusUnprocessableEntity,
	"StatusTooManyRequests": http.StatusTooManyRequests, "StatusInternalServerError": http.StatusInternalServerError,
	"StatusNotImplemented": http.StatusNotImplemented, "StatusBadGateway": http.StatusBadGateway,
	"StatusRequestURITooLong": http.StatusRequestURITooLong, "StatusRequestHeaderFieldsTooLarge": http.StatusRequestHeaderFieldsTooLarge,
	"StatusServiceUnavailable": http.StatusServiceUnavailable, "StatusGatewayTimeout": http.StatusGatewayTimeout,
}

// problemIn reads a literal of problem.Details, or of the gateway's failure.
func problemIn(c *ast.CompositeLit) (name, status string) {
	for i, e := range c.Elts {
		value, key := e, fmt.Sprint(i)
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			value, key = pair.Value, fmt.Sprint(pair.Key)
		}
		text, isText := value.(*ast.BasicLit)
		selector, isSelector := value.(*ast.SelectorExpr)
		switch {
		case isText && (key == "Type" || key == "1"):
			name, _ = strconv.Unquote(text.Value)
		case isSelector && (key == "Status" || key == "0"):
			status = selector.Sel.Name
		}
	}
	return name, status
}

func isProblem(c *ast.CompositeLit) bool {
	switch of := c.Type.(type) {
	case *ast.SelectorExpr:
		return fmt.Sprint(of.X) == "problem" && of.Sel.Name == "Details"
	case *ast.Ident:
		return of.Name == "failure"
	}
	return false
}

// problemsInCode are the types of all problems, with the statuses that they
// come with.
func problemsInCode(t *testing.T) map[string][]int {
	t.Helper()
	found := map[string][]int{}
	for _, folder := range []string{"form", "once", "operation", "internal/gateway", "internal/admin", "internal/service"} {
		for _, file := range sources(t, folder) {
			ast.Inspect(file, func(n ast.Node) bool {
				c, ok := n.(*ast.CompositeLit)
				if !ok || !isProblem(c) {
					return true
				}
				name, status := problemIn(c)
				if name == "" || name == "client-gone" { // made of a failure, or nobody is left to read it
					return true
				}
				if statusOf[status] == 0 {
					t.Errorf("problem %q in %s: status %q is not in statusOf", name, folder, status)
				}
				found[name] = append(found[name], statusOf[status])
				return true
			})
		}
	}
	return found
}

// Each type is an address that leads to docs/problems.md: what a program
// answers with must stand there, and nothing else.
func TestEveryProblemIsDocumented(t *testing.T) {
	inCode := problemsInCode(t)
	if len(inCode) < 30 {
		t.Errorf("only %d problems found: %v", len(inCode), inCode)
	}
	inDocs := map[string]string{}
	for _, section := range strings.Split(readDocs(t, "problems.md"), "\n### ")[1:] {
		name, rest, _ := strings.Cut(section, "\n")
		rest, _, _ = strings.Cut(rest, "\n## ")
		if inDocs[name] != "" {
			t.Errorf("%s stands there twice", name)
		}
		inDocs[name] = rest
	}
	for name, statuses := range inCode {
		section, ok := inDocs[name]
		if !ok {
			t.Errorf("problem %q is not in docs/problems.md", name)
			continue
		}
		line := regexp.MustCompile(`(?m)^- Status: .*$`).FindString(section)
		for _, status := range statuses {
			if !strings.Contains(line, strconv.Itoa(status)) {
				t.Errorf("problem %q comes with %d, and its section says %q", name, status, line)
			}
		}
	}
	for name, section := range inDocs {
		if inCode[name] == nil {
			t.Errorf("docs/problems.md describes %q, which nobody answers with", name)
		}
		for _, want := range []string{"- Status: ", "- When: ", "- Client: ", "- Operator: "} {
			if strings.Count(section, "\n"+want) != 1 {
				t.Errorf("%s: want one line %q", name, want)
			}
		}
	}
}

// described are the rows of docs/metrics.md: the type and the labels by name.
func described(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(seeother_[a-z_]+)` \\| ([a-z]+) \\| ([^|]*)\\|").FindAllStringSubmatch(readDocs(t, "metrics.md"), -1) {
		labels := regexp.MustCompile("[a-z]+").FindAllString(row[3], -1)
		slices.Sort(labels)
		out[row[1]] = row[2] + " " + strings.Join(labels, ",")
	}
	return out
}

// gathered is the same of a gateway that runs.
func gathered(body string) map[string]string {
	out := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^# TYPE (seeother_[a-z_]+) ([a-z]+)$`).FindAllStringSubmatch(body, -1) {
		series := regexp.MustCompile(`(?m)^` + line[1] + `(_bucket)?({.*})? `).FindString(body)
		var labels []string
		for _, label := range regexp.MustCompile(`[{,]([a-z]+)="`).FindAllStringSubmatch(series, -1) {
			if label[1] != "le" {
				labels = append(labels, label[1])
			}
		}
		slices.Sort(labels)
		out[line[1]] = line[2] + " " + strings.Join(labels, ",")
	}
	return out
}

func TestEveryMetricIsDocumented(t *testing.T) {
	w := start(t, Config{})
	w.fill(t)
	got, want := gathered(w.get(t, "/metrics").body), described(t)
	maps.Copy(got, gathered(serviceMetricsOf(t)))
	if len(got) < 10 {
		t.Fatalf("only %d metrics: %v", len(got), got)
	}
	for name, is := range got {
		if want[name] != is {
			t.Errorf("%s is a %q, and docs/metrics.md says %q", name, is, want[name])
		}
	}
	for name := range want {
		if got[name] == "" {
			t.Errorf("docs/metrics.md describes %s, which there is not", name)
		}
	}
}

// Alerts that name what there is not never ring.
func TestAlertsNameMetricsThatThereAre(t *testing.T) {
	page, known := readDocs(t, "metrics.md"), described(t)
	for _, name := range regexp.MustCompile(`seeother_[a-z_]+`).FindAllString(page, -1) {
		if known[name] == "" {
			t.Errorf("docs/metrics.md names %s, which is not in its table", name)
		}
	}
	outcomes := outcomesInDocs(page)
	for _, found := range regexp.MustCompile(`outcome=~?"([^"]+)"`).FindAllStringSubmatch(page, -1) {
		for outcome := range strings.SplitSeq(found[1], "|") {
			if !slices.Contains(outcomes, outcome) {
				t.Errorf("an alert waits for the outcome %q, which there is not", outcome)
			}
		}
	}
}

func outcomesInDocs(page string) []string {
	_, table, _ := strings.Cut(page, "## Outcomes")
	var out []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)`").FindAllStringSubmatch(table, -1) {
		out = append(out, row[1])
	}
	slices.Sort(out)
	return out
}

// outcomeCalls are the methods of package once that count their first argument.
var outcomeCalls = []string{"decide", "refuse", "add"}

func TestEveryOutcomeIsDocumented(t *testing.T) {
	// The states are counted by the variable, and two more depend on a wait.
	found := map[string]bool{"completed": true, "released": true, "uncertain": true, "replayed": true, "waited": true}
	for _, file := range sources(t, "once") {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			method, isMethod := call.Fun.(*ast.SelectorExpr)
			text, isText := call.Args[0].(*ast.BasicLit)
			if isMethod && isText && text.Kind == gotoken.STRING && slices.Contains(outcomeCalls, method.Sel.Name) {
				name, _ := strconv.Unquote(text.Value)
				found[name] = true
			}
			return true
		})
	}
	want := slices.Sorted(maps.Keys(found))
	if got := outcomesInDocs(readDocs(t, "metrics.md")); !slices.Equal(got, want) {
		t.Errorf("docs/metrics.md has the outcomes\n%q, and the code\n%q", got, want)
	}
}

// Every route is in docs/admin.md as its method and path.
func TestEveryRouteIsDocumented(t *testing.T) {
	page := readDocs(t, "admin.md")
	h := New(Config{}, Sources{})
	known := map[string]bool{}
	for _, r := range h.routes() {
		name := r.method + " " + r.path
		known[name] = true
		if !strings.Contains(page, "| `"+name+"` |") && !strings.HasPrefix(r.path, "/assets/") {
			t.Errorf("docs/admin.md does not list %s", name)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z]+ /[^`]*)` \\|").FindAllStringSubmatch(page, -1) {
		if !known[row[1]] {
			t.Errorf("docs/admin.md lists %s, which there is not", row[1])
		}
	}
}
