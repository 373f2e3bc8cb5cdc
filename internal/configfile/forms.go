package configfile

import (
	"fmt"
	"strings"
	"time"

	"github.com/seeother/seeother"
)

// Forms is what is done for forms that browsers submit, for the whole gateway.
type Forms struct {
	FormPolicy `yaml:",inline"`

	// How long a rendered form is known for one.
	TokenAge Duration `yaml:"token_age"`
	// How long the answer to a form is kept as a page.
	PageAge Duration `yaml:"page_age"`
	// An answer that takes longer from its header to its end is not kept as a page.
	PageWait Duration `yaml:"page_wait"`
	// Nor is one that is larger.
	PageLimit Size `yaml:"page_limit"`
	// How much is kept for one browser, in the time that pages are kept.
	PagesPerBrowser Size `yaml:"pages_per_browser"`
	// How much is kept for all together.
	PagesTotal Size `yaml:"pages_total"`
	// A form with a larger body than `once.buffer` (an upload) is put on disk up to this, before anything starts, in the folder for temporary files (`$TMPDIR`). A larger one streams.
	Spool Size `yaml:"spool"`
	// How much of the disk all such forms may take together. What does not fit streams.
	SpoolTotal Size `yaml:"spool_total"`
	// Names of cookies that come with a login and go with a logout; a star at the end stands for any rest. Empty: those of well-known frameworks.
	Sessions []string `yaml:"sessions"`
}

// FormPolicy is what a route can have of its own.
type FormPolicy struct {
	// `off`, `canary N%` (for so many of the clients) or `enforce`; `report` does as `off` does. `--protect` means `enforce`.
	Stage seeother.Stage `yaml:"stage"`
	// Forms get tokens, by which a second submission of the same form is known for one.
	Tokens bool `yaml:"tokens"`
	// A page that answers a form is kept, and the browser is sent to it with 303, so that a refresh submits nothing.
	Pages bool `yaml:"pages"`
	// A form that comes again with other fields: `new`, a submission of its own (somebody went back and corrected it), or `reject`.
	Changed string `yaml:"changed" jsonschema:"enum=new,enum=reject"`
	// How long a form that comes again, with the same fields, gets the first answer without a question.
	SameFor Duration `yaml:"same_for"`
	// A message that the app sets for the next page (`Seeother-Flash`) is carried there.
	Flash bool `yaml:"flash"`
	// A browser that has made something (201 with a Location) is sent there with 303; other clients keep their 201.
	Created bool `yaml:"created"`
	// Every answer here gives the browser a new identity: of a logout that no session cookie tells of.
	Renew bool `yaml:"renew"`
}

// Search gives each search one URL.
type Search struct {
	// The fields that make up a search, in their order. A POST becomes 303 to the URL with these alone; none: nothing here is a search.
	Fields []string `yaml:"fields"`
	// Values that need not be said, by field (`page: "1"`): a URL with them leads to one without.
	Defaults map[string]string `yaml:"defaults"`
	// A URL loses the parameters that are not in `fields`.
	Only bool `yaml:"only"`
	// A URL loses parameters that only follow people about (utm_source, gclid and others).
	Tracking bool `yaml:"tracking"`
	// Names of fields count in any case, and are written as in `fields`.
	FoldNames bool `yaml:"fold_names"`
	// Fields whose values mean the same in any case.
	FoldCase []string `yaml:"fold_case"`
}

func defaultForms() Forms {
	return Forms{
		FormPolicy: FormPolicy{Stage: seeother.Off, Tokens: true, Pages: true, Flash: true, Created: true, Changed: "new", SameFor: seconds(10)},
		TokenAge:   seconds(24 * 3600), PageAge: seconds(3600), PageWait: seconds(2),
		PageLimit: 1 << 20, PagesPerBrowser: 32 << 20, PagesTotal: 4 << 30, Spool: 1 << 30, SpoolTotal: 4 << 30,
	}
}

func (f Forms) check(r *report) {
	f.FormPolicy.check(r, "forms")
	for _, d := range []struct {
		key         string
		value, want Duration
	}{
		{"token_age", f.TokenAge, seconds(1)},
		{"page_age", f.PageAge, seconds(1)},
		{"page_wait", f.PageWait, Duration(time.Millisecond)},
	} {
		atLeast(r, "forms."+d.key, d.value, d.want)
	}
	for _, s := range []struct {
		key               string
		value, want, most Size
	}{{"page_limit", f.PageLimit, 1, maxHeld}, {"pages_per_browser", f.PagesPerBrowser, 1 << 10, 1 << 40}, {"pages_total", f.PagesTotal, 1 << 10, 1 << 50}, {"spool", f.Spool, 1, 1 << 40}, {"spool_total", f.SpoolTotal, 1, 1 << 50}} {
		atLeast(r, "forms."+s.key, s.value, s.want)
		if s.value > s.most {
			r.add("forms."+s.key, "", "%s: want at most %s", s.value, s.most)
		}
	}
	for i, name := range f.Sessions {
		if bare := strings.TrimSuffix(name, "*"); bare == "" || strings.Contains(bare, "*") {
			r.add(fmt.Sprintf("forms.sessions[%d]", i), "a star stands for any rest, as in wordpress_logged_in_*", "%q is not the name of a cookie", clip(name))
		}
	}
}

func (f FormPolicy) check(r *report, path string) {
	atLeast(r, path+".same_for", f.SameFor, Duration(time.Millisecond))
}
