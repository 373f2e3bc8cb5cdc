package rule

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

// FuzzCheck checks whatever rules a file gives. Nothing of that may panic or go
// on for ever, and each finding is of a kind that is on the list.
func FuzzCheck(f *testing.F) {
	page, err := os.ReadFile(checksPage)
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		f.Add(m[1], false)
	}
	f.Add(`{"regexp":"^/(a|b)*(?P<x>.{2,9})\\b/?$","when":[{"on":"header:A","regexp":"^(?i)b+$","not":true},{"on":"cookie:c","empty":true},{"on":"query","equals":"a=1"}],"status":302,"target":"https://{x}.example.com/{x|segment}{?query}","origins":["https://a.example.com"]}`, true)
	f.Add(`{"path":"/{a}/{b}/*","decoded":true,"ignore_case":true,"ignore_slash":true,"hosts":["*.example.com","x.example.com"],"query":{"q":"{v}"},"query_exact":true,"intent":"moved","target":"//{subdomain}/{v}/{*}"}`, false)
	f.Fuzz(func(t *testing.T, lines string, canonical bool) {
		if strings.Count(lines, "\n") > 50 {
			return
		}
		var opts Options
		if canonical {
			opts.Canonical = Canonical{Origin: "https://www.example.com", Hosts: []string{"example.com"}, HTTPS: true, Slash: "remove"}
		}
		open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(lines)), nil }
		table, _, err := Load([]Source{{File: "fuzz.jsonl", Format: FormatJSONL, Open: open}}, opts)
		if err != nil {
			t.Fatal(err)
		}
		table.Check(CheckOptions{Now: checkTime}, func(found Finding) {
			if checkOf(found.ID) == nil || found.Message == "" || found.Mend == "" {
				t.Errorf("finding %+v", found)
			}
		})
		req := Request{Method: "GET", Scheme: "https", Host: "www.example.com", Path: "/a/b", Query: "q=1"}
		if hops, end := table.Trace(req); len(hops) == 0 || end == "" {
			t.Errorf("%d hops, end %q", len(hops), end)
		}
	})
}
