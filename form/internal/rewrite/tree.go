package rewrite

// maxTemplates is how deep templates are followed.
const maxTemplates = 64

// tree is what is known of the tree that a browser makes of the page.
type tree struct {
	foreign   foreign
	templates []template // that are open
	inSelect  belief     // see choose
	form      pointer
	started   bool // the body is there, and no frameset can take its place
	doubts    int  // how often something was left alone for not being certain
}

// template is one that is open.
type template struct {
	inSelect belief // outside of it
	begun    bool   // a start tag has decided what it holds
	columns  bool   // nothing but col
}

// pointer is the form element pointer (section 13.2.4.4): the form that is open.
type pointer uint8

const (
	noForm pointer = iota
	getForm
	postForm
	anyForm // or none
)

// verdict is what a start tag means.
type verdict uint8

const (
	live    verdict = iota // an HTML element that is there
	inert                  // none, or one that does nothing
	unsure                 // it may be there or not
	rawNext                // what follows is its text
	rest                   // all that follows is text
	stop                   // it is not known how the rest is read
)

// plain: nothing is open that makes tags mean something else.
func (t *tree) plain() bool {
	return t.foreign.clean() && t.inSelect == no && len(t.templates) == 0
}

func (t *tree) start(g *tag) verdict {
	if g.kind == other && t.plain() {
		return live
	}
	v := t.startAny(g)
	if v == unsure || v == stop {
		t.doubts++
	}
	return v
}

func (t *tree) startAny(g *tag) verdict {
	switch t.foreign.start(g) {
	case no:
		return inert
	case maybe:
		return t.startLost(g)
	}
	if n := len(t.templates); n > 0 {
		return t.startInTemplate(g, &t.templates[n-1])
	}
	return t.startHTML(g)
}

// startLost is for a start tag that may stand in foreign content.
func (t *tree) startLost(g *tag) verdict {
	switch {
	case g.kind.isRaw(), g.kind == plaintext, g.kind == templ, g.kind == frameset && !t.started:
		return stop
	case g.kind == form:
		t.form = anyForm
	}
	if g.kind == choice || t.inSelect != no {
		t.inSelect = maybe
	}
	return unsure
}

// startInTemplate is for what stands in a template: it is no part of the
// document. Its first start tag decides how the rest is read (section
// 13.2.6.4.18): behind a col, everything but col and template is dropped.
func (t *tree) startInTemplate(g *tag, in *template) verdict {
	if !in.begun && g.kind == column {
		in.columns = true
	}
	in.begun = in.begun || !g.kind.inHead()
	switch {
	case in.columns && (g.kind.isRaw() || g.kind == plaintext):
		return stop
	case in.columns && (g.kind == svg || g.kind == math):
		t.foreign.lose()
		return unsure
	case g.kind == frameset, g.kind == form, g.kind == body, g.kind == base:
		return inert
	}
	if v := t.startHTML(g); v != live || g.kind == meta {
		return v
	}
	return inert
}

func (t *tree) startHTML(g *tag) verdict {
	t.begin(g)
	was := t.inSelect
	t.choose(g)
	switch g.kind {
	case hidden, embedded, textarea, script, plaintext:
		return textVerdict(g, was)
	case frameset:
		return t.startFrameset()
	case templ:
		return t.openTemplate()
	case svg, math:
		return t.enter(g, was)
	case form:
		return t.openForm(was)
	case base:
		if was != no {
			return unsure
		}
	}
	return live
}

// begin notes what makes a later frameset void (section 13.2.6.4.7): something
// that stands in a body and is more than text.
func (t *tree) begin(g *tag) {
	switch g.kind {
	case body, button, choice, embedded, textarea:
		t.started = t.started || len(t.templates) == 0
	}
}

// choose follows select elements as the standard had it up to 2025, and some
// browsers have it still: most tags within a select are dropped. Some close it,
// those of a table only if the select stands in one.
func (t *tree) choose(g *tag) {
	switch {
	case g.kind == choice && t.inSelect == no:
		t.inSelect = yes
	case g.kind == choice && t.inSelect == yes, g.kind == input, g.kind == keygen, g.kind == textarea:
		t.inSelect = no
	case g.kind == tablePart && t.inSelect == yes:
		t.inSelect = maybe
	}
}

// textVerdict is for elements that hold nothing but text. In a select, some
// browsers drop the tags of most, and read what follows as markup.
func textVerdict(g *tag, inSelect belief) verdict {
	switch {
	case inSelect != no && g.kind != script && g.kind != textarea:
		return stop
	case g.kind == plaintext:
		return rest
	}
	return rawNext
}

// startFrameset: a page of frames has no forms. Whether it is one takes more than
// is known here.
func (t *tree) startFrameset() verdict {
	if t.started {
		return inert
	}
	return stop
}

// openTemplate opens a template. In svg and math, the parsers that there are do
// not agree.
func (t *tree) openTemplate() verdict {
	if !t.foreign.clean() || len(t.templates) >= maxTemplates {
		return stop
	}
	t.templates = append(t.templates, template{inSelect: t.inSelect})
	t.inSelect = no
	return live
}

func (t *tree) closeTemplate() {
	n := len(t.templates) - 1
	t.inSelect = t.templates[n].inSelect
	t.templates = t.templates[:n]
	t.foreign.reset()
}

func (t *tree) enter(g *tag, inSelect belief) verdict {
	if inSelect != no {
		t.foreign.lose()
		return unsure
	}
	t.foreign.enter(g)
	return live
}

// openForm: a form within a form is dropped.
func (t *tree) openForm(inSelect belief) verdict {
	switch {
	case inSelect != no || t.form == anyForm:
		t.form = anyForm
		return unsure
	case t.form != noForm:
		return inert
	}
	t.form = anyForm // until its method is known
	return live
}

// end follows an end tag. It is false if it is not known how the rest is read.
func (t *tree) end(g *tag) bool {
	if g.kind == other && t.plain() {
		return true
	}
	switch t.foreign.end(g, len(t.templates) > 0) {
	case yes:
		t.endHTML(g)
	case maybe:
		return t.endLost(g)
	}
	return true
}

func (t *tree) endHTML(g *tag) {
	switch {
	case g.kind == templ && len(t.templates) > 0:
		t.closeTemplate()
	case g.kind == choice:
		t.inSelect = no
	case g.kind == tablePart && t.inSelect == yes:
		t.inSelect = maybe
	case g.kind == form && len(t.templates) == 0:
		t.closeForm()
	}
}

// closeForm: some browsers drop the tag in a select.
func (t *tree) closeForm() {
	switch {
	case t.inSelect == no:
		t.form = noForm
	case t.form != noForm:
		t.form = anyForm
	}
}

// endLost is for an end tag that may be one of a foreign element.
func (t *tree) endLost(g *tag) bool {
	if g.kind != templ && g.kind != form {
		return true
	}
	if !t.foreign.maybeOpen(g.name()) {
		t.endHTML(g)
		return true
	}
	if g.kind == form && t.form != noForm && len(t.templates) == 0 {
		t.form = anyForm
	}
	return g.kind == form || len(t.templates) == 0
}
