package rewrite

// kind is what a tag's name means to the tree.
type kind uint8

const (
	other kind = iota
	form
	button
	input
	base
	meta
	font
	annotation // annotation-xml
	svg
	math
	templ // template
	choice
	keygen
	textarea
	script
	embedded  // iframe, xmp: raw text that ends the head
	hidden    // style, title, noembed, noframes, noscript: raw text
	plaintext // has no end
	frameset
	body
	column // col
	columns
	tablePart
	headOnly // link, basefont, bgsound
)

var kinds = map[string]kind{
	"form": form, "button": button, "input": input, "base": base, "meta": meta, "font": font,
	"annotation-xml": annotation, "svg": svg, "math": math, "template": templ, "select": choice,
	"keygen": keygen, "textarea": textarea, "script": script, "iframe": embedded, "xmp": embedded,
	"style": hidden, "title": hidden, "noembed": hidden, "noframes": hidden, "noscript": hidden,
	"plaintext": plaintext, "frameset": frameset, "body": body, "col": column,
	"caption": tablePart, "table": tablePart, "tbody": tablePart, "tfoot": tablePart, "thead": tablePart,
	"tr": tablePart, "td": tablePart, "th": tablePart, "colgroup": columns,
	"link": headOnly, "basefont": headOnly, "bgsound": headOnly,
}

// longestKind is the longest name in kinds.
const longestKind = len("annotation-xml")

func kindOf(name []byte) kind {
	if len(name) > longestKind {
		return other
	}
	return kinds[string(name)]
}

// isRaw: what follows the start tag is text up to the end tag.
func (k kind) isRaw() bool {
	return k == textarea || k == script || k == embedded || k == hidden
}

// inHead: a template may take it before it knows what it holds.
func (k kind) inHead() bool {
	return k == base || k == meta || k == headOnly || k == script || k == hidden || k == templ
}

// ofTable: the tag may close parts of a table that is open.
func (k kind) ofTable() bool { return k == tablePart || k == column || k == columns }

// set is a set of names of elements.
type set map[string]bool

func setOf(names ...string) set {
	s := make(set, len(names))
	for _, name := range names {
		s[name] = true
	}
	return s
}

func (s set) has(name []byte) bool { return s[string(name)] }

var (
	// breakouts end foreign content (section 13.2.6.5).
	breakouts = setOf("b", "big", "blockquote", "body", "br", "center", "code", "dd", "div", "dl", "dt", "em", "embed",
		"h1", "h2", "h3", "h4", "h5", "h6", "head", "hr", "i", "img", "li", "listing", "menu", "meta", "nobr", "ol", "p",
		"pre", "ruby", "s", "small", "span", "strong", "strike", "sub", "sup", "table", "tt", "u", "ul", "var")

	// tables hold parts of a table.
	tables = setOf("html", "table", "tbody", "template", "tfoot", "thead", "tr")

	// voids have no content (section 13.1.2), or are made into ones that have none.
	voids = setOf("area", "base", "basefont", "bgsound", "br", "col", "embed", "hr", "image", "img", "input", "keygen",
		"link", "meta", "param", "source", "track", "wbr")

	// closed are elements that some start tag closes.
	closed = setOf("a", "button", "dd", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "li", "nobr", "optgroup", "option",
		"p", "rb", "rp", "rt", "rtc")

	// blocks close a p that is open (section 13.2.6.4.7).
	blocks = setOf("address", "article", "aside", "blockquote", "center", "details", "dialog", "dir", "div", "dl",
		"fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "listing", "main", "menu", "nav",
		"ol", "plaintext", "pre", "search", "section", "summary", "table", "ul", "xmp")

	// entangled are elements whose tags depend on what is open below, or change it.
	entangled = setOf("applet", "body", "caption", "col", "colgroup", "form", "frame", "frameset", "head", "html",
		"marquee", "object", "optgroup", "option", "rb", "rp", "rt", "rtc", "select", "table", "tbody",
		"td", "template", "textarea", "tfoot", "th", "thead", "tr")
)
