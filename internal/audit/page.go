package audit

import (
	"io"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Limits of what is read from one page.
const (
	maxToken  = 4 << 20 // one tag or text, scripts included, in bytes
	maxLinks  = 5000
	maxForms  = 100
	maxFields = 500       // of one form
	maxValue  = 256 << 10 // of one field, in bytes

	maxPageText = 2 << 20 // what one page leads to, URLs and fields, in bytes
)

// Field is one control of a form with the value that it is sent with.
type Field struct {
	Name  string `json:"n"`
	Value string `json:"v,omitempty"`
	Type  string `json:"t,omitempty"`
}

// Form is a form as the page has it. Action is absolute.
type Form struct {
	Method    string  `json:"method"`
	Action    string  `json:"action"`
	Multipart bool    `json:"multipart,omitempty"`
	Password  bool    `json:"password,omitempty"`
	Fields    []Field `json:"fields,omitempty"`
	CSP       string  `json:"csp,omitempty"` // of the page
}

// page is what a page leads to.
type page struct {
	base  *url.URL
	links []*url.URL // absolute, http and https
	forms []Form

	absolute bool // a link of the page names the page's own host
}

// reader reads a page token by token.
type reader struct {
	page

	form    *Form
	choice  string // the name of the select that is open
	chosen  bool
	wants   bool // the next text is the value of the last field
	hasBase bool
	size    int // of maxPageText
}

// readPage reads links and forms from HTML at base. It reads to the end of r or
// to a token that is too long; what is wrong in a page is skipped.
func readPage(r io.Reader, base *url.URL) page {
	d := reader{page: page{base: base}}
	z := html.NewTokenizer(r)
	z.SetMaxBuf(maxToken)
	for {
		switch z.Next() {
		case html.ErrorToken:
			d.endForm()
			return d.page
		case html.TextToken:
			if d.wants {
				d.text(z.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			d.wants = false
			if tag := tagOf(z.Raw()[len("<"):]); wanted(tag) {
				_, more := z.TagName()
				d.start(tag, attributes(z, more))
			}
		case html.EndTagToken:
			d.wants = false
			switch tagOf(z.Raw()[len("</"):]) {
			case atom.Form:
				d.endForm()
			case atom.Select:
				d.choice = ""
			}
		}
	}
}

// tagOf is the tag that raw text begins with. Tokenizer.TagName makes a copy of
// each name, and most are of no interest.
func tagOf(raw []byte) atom.Atom {
	var name [16]byte
	for i, c := range raw {
		switch {
		case strings.IndexByte(" \t\n\f\r/>", c) >= 0:
			return atom.Lookup(name[:i])
		case i == len(name):
			return 0
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		}
		name[i] = c
	}
	return 0 // a tag has an end
}

func wanted(tag atom.Atom) bool {
	switch tag {
	case atom.A, atom.Area, atom.Base, atom.Button, atom.Form, atom.Frame, atom.Iframe, atom.Input, atom.Link, atom.Meta, atom.Option, atom.Select, atom.Textarea:
		return true
	}
	return false
}

func attributes(z *html.Tokenizer, more bool) map[string]string {
	out := make(map[string]string, 4)
	for more && len(out) < 64 {
		var key, value []byte
		key, value, more = z.TagAttr()
		if _, twice := out[string(key)]; !twice { // the first counts (HTML, "attribute name state")
			out[string(key)] = string(value)
		}
	}
	return out
}

func (d *reader) start(tag atom.Atom, attr map[string]string) {
	switch tag {
	case atom.Base:
		if href, has := attr["href"]; has && !d.hasBase && len(href) <= maxURL {
			d.hasBase = true
			d.setBase(trimmed(href))
		}
	case atom.A, atom.Area:
		d.link(attr, "href")
	case atom.Frame, atom.Iframe:
		d.link(attr, "src")
	case atom.Link:
		if rel := strings.Fields(strings.ToLower(attr["rel"])); slices.Contains(rel, "canonical") || slices.Contains(rel, "next") || slices.Contains(rel, "prev") {
			d.link(attr, "href")
		}
	case atom.Meta:
		if strings.EqualFold(attr["http-equiv"], "refresh") {
			d.refresh(attr["content"])
		}
	case atom.Form:
		d.startForm(attr)
	default:
		d.control(tag, attr)
	}
}

func trimmed(text string) string { return strings.Trim(text, "\t\n\f\r ") }

func (d *reader) link(attr map[string]string, name string) {
	if href, ok := attr[name]; ok {
		d.add(trimmed(href))
	}
}

// setBase: a base of another scheme does not count (HTML, "set the frozen base
// URL"). One that names the page's own host does so for all links.
func (d *reader) setBase(href string) {
	u, err := resolve(d.base, href)
	if err != nil || u.Hostname() == "" || !isWeb(u.Scheme) {
		return
	}
	d.absolute = d.absolute || u.Host == d.base.Host && strings.HasPrefix(href, "http")
	d.base = u
}

// resolve reads a reference of a page. What every reader of URLs reads alike goes
// the quick way.
func resolve(base *url.URL, ref string) (*url.URL, error) {
	for i := range len(ref) {
		if c := ref[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\\\"<>'", c) >= 0 {
			return browserTarget(base, ref)
		}
	}
	u, err := base.Parse(ref)
	if err != nil || strings.Count(u.Host, ":") > 1 && u.Host[0] != '[' { // url.Parse takes "//::"
		return browserTarget(base, ref)
	}
	return u, nil
}

// fits reports whether a page may still lead to so many bytes.
func (d *reader) fits(n int) bool {
	d.size += n
	return d.size <= maxPageText
}

func (d *reader) add(href string) {
	if len(d.links) >= maxLinks || len(href) > maxURL || strings.HasPrefix(href, "#") {
		return
	}
	u, err := resolve(d.base, href)
	if err != nil || u.Hostname() == "" || u.User != nil || !isWeb(u.Scheme) || !d.fits(len(u.Host)+len(u.Path)+len(u.RawPath)+len(u.RawQuery)) {
		return
	}
	d.absolute = d.absolute || u.Host == d.base.Host && strings.HasPrefix(href, "http")
	d.links = append(d.links, normal(u))
}

// refresh reads "5; url=/next" (HTML, "shared declarative refresh steps"): "url="
// may be missing, and "," is as good.
func (d *reader) refresh(content string) {
	at := strings.IndexAny(content, ";,")
	if at < 0 {
		return
	}
	target := trimmed(content[at+1:])
	if name, after, ok := strings.Cut(target, "="); ok && strings.EqualFold(trimmed(name), "url") {
		target = trimmed(after)
	}
	if target != "" {
		d.add(strings.Trim(target, `"'`))
	}
}

func (d *reader) startForm(attr map[string]string) {
	if d.form != nil || len(d.forms) >= maxForms {
		return // a form in a form is none
	}
	if len(attr["action"]) > maxURL {
		return
	}
	action, err := resolve(d.base, trimmed(attr["action"]))
	if err != nil || action.Hostname() == "" || !isWeb(action.Scheme) || !d.fits(len(action.Host)+len(action.Path)+len(action.RawQuery)) {
		return
	}
	method := "GET"
	switch strings.ToLower(attr["method"]) {
	case "post":
		method = "POST"
	case "dialog":
		return
	}
	d.absolute = d.absolute || action.Host == d.base.Host && strings.HasPrefix(trimmed(attr["action"]), "http")
	d.form = &Form{Method: method, Action: normal(action).String(), Multipart: strings.EqualFold(attr["enctype"], "multipart/form-data")}
}

func (d *reader) endForm() {
	if d.form != nil {
		d.forms = append(d.forms, *d.form)
	}
	d.form, d.choice = nil, ""
}

func (d *reader) control(tag atom.Atom, attr map[string]string) {
	if d.form == nil {
		return
	}
	_, checked := attr["checked"]
	_, disabled := attr["disabled"]
	kind := strings.ToLower(attr["type"])
	switch {
	case tag == atom.Option:
		d.option(attr)
	case disabled:
	case tag == atom.Select:
		d.choice, d.chosen = attr["name"], false
	case tag == atom.Textarea:
		d.wants = d.field(Field{attr["name"], "", "textarea"})
	case tag == atom.Input && kind == "password":
		d.form.Password = true
		d.field(Field{attr["name"], attr["value"], kind})
	case tag == atom.Input && (kind == "checkbox" || kind == "radio"):
		if value, has := attr["value"]; checked && has {
			d.field(Field{attr["name"], value, kind})
		} else if checked {
			d.field(Field{attr["name"], "on", kind})
		}
	case tag == atom.Input && !slices.Contains([]string{"submit", "button", "image", "reset", "file"}, kind):
		d.field(Field{attr["name"], attr["value"], kind})
	}
}

// option takes the first one of a select, and the selected one over it.
func (d *reader) option(attr map[string]string) {
	_, selected := attr["selected"]
	if d.choice == "" || d.chosen && !selected {
		return
	}
	if d.chosen {
		d.form.Fields = slices.DeleteFunc(d.form.Fields, func(f Field) bool { return f.Name == d.choice })
	}
	d.chosen = true
	value, has := attr["value"]
	d.wants = d.field(Field{d.choice, value, "select"}) && !has
}

// text is the value of an option without one, or of a textarea.
func (d *reader) text(text []byte) {
	if d.wants && d.form != nil && len(text) <= maxValue && d.fits(len(text)) {
		d.form.Fields[len(d.form.Fields)-1].Value = trimmed(string(text))
	}
	d.wants = false
}

// field reports whether there was room for f.
func (d *reader) field(f Field) bool {
	if f.Name == "" || len(d.form.Fields) >= maxFields || len(f.Name)+len(f.Value) > maxValue || !d.fits(len(f.Name)+len(f.Value)) {
		return false
	}
	d.form.Fields = append(d.form.Fields, f)
	return true
}
