package rewrite

// scan reads p, and writes what can be written.
func (w *Writer) scan(p []byte) {
	w.out, w.scanner.start = 0, 0
	w.scanner.utf8 = w.encoding.utf8
	for i := 0; i < len(p) && w.scanner.state != passing; {
		var found event
		i, found = w.scanner.step(p, i)
		switch found {
		case noTag:
			w.release()
		case named:
			w.name()
		case complete:
			w.complete(p, i)
		case unclear:
			w.giveUp()
		}
	}
	w.flush(p)
}

// flush writes what is left of p, but for the beginning of a tag that is needed
// whole.
func (w *Writer) flush(p []byte) {
	if !w.scanner.holding() {
		w.write(p[w.out:])
		return
	}
	start := max(w.out, w.scanner.start)
	w.write(p[w.out:start])
	w.held = append(w.held, p[start:]...)
	if len(w.held) > w.max {
		w.scanner.tag.keep = false
		w.release()
	}
}

// name decides whether the bytes of the tag are needed.
func (w *Writer) name() {
	t := &w.scanner.tag
	t.keep = !t.end && w.needs(t.kind)
	if !t.keep {
		w.release()
	}
}

func (w *Writer) needs(k kind) bool {
	switch k {
	case form, button, input, base:
		return len(w.tree.templates) == 0
	case meta:
		return !w.encoding.fixed
	case font, annotation:
		return len(w.tree.foreign.frames) > 0
	}
	return false
}

// complete acts on a tag that ends at i.
func (w *Writer) complete(p []byte, i int) {
	t := &w.scanner.tag
	switch {
	case t.raw:
	case t.end:
		if !w.tree.end(t) {
			w.giveUp()
		}
	default:
		w.startTag(p, i)
	}
	w.scanner.foreign = w.tree.foreign.current()
}

func (w *Writer) startTag(p []byte, i int) {
	t := &w.scanner.tag
	t.bytes = w.tagBytes(p, i)
	switch v := w.tree.start(t); v {
	case live:
		if in, found := w.live(t); found {
			w.insert(p, in)
		}
	case unsure:
		w.site.doubt(t)
	case rawNext:
		w.scanner.enterRaw()
	case rest:
		w.pass()
	case stop:
		w.giveUp()
	}
	w.release()
}

// tagBytes are those of the tag that ends at i, if they are needed and are not too
// many.
func (w *Writer) tagBytes(p []byte, i int) []byte {
	start := w.scanner.start
	switch {
	case !w.scanner.tag.keep || len(w.held)+i-start > w.max:
		return nil
	case len(w.held) == 0:
		return p[start:i]
	}
	w.held = append(w.held, p[:i]...)
	w.out = i
	return w.held
}

// live acts on the start tag of an element that is there.
func (w *Writer) live(t *tag) (insertion, bool) {
	switch t.kind {
	case meta:
		if !w.encoding.meta(t) {
			w.giveUp()
		}
	case base:
		w.site.setBase(t)
	case form:
		return w.form(t)
	case button, input:
		return w.button(t)
	}
	return insertion{}, false
}

func (w *Writer) form(t *tag) (insertion, bool) {
	if t.bytes == nil {
		return insertion{}, false // any method
	}
	if method, _ := value(t.bytes, "method"); !isPost(method) {
		w.tree.form = getForm
		return insertion{}, false
	}
	w.tree.form = postForm
	return w.site.insert(t.bytes, "action")
}

func (w *Writer) button(t *tag) (insertion, bool) {
	if _, found := find(t.bytes, "formaction"); !found || !submits(t) || !posts(t, w.tree.form) {
		return insertion{}, false
	}
	return w.site.insert(t.bytes, "formaction")
}

// insert writes what is before an insertion, and that. The tag at hand is in held,
// or in p.
func (w *Writer) insert(p []byte, in insertion) {
	w.changed = true
	if len(w.held) > 0 {
		w.write(w.held[:in.at])
		w.write([]byte(in.text))
		w.write(w.held[in.at:])
		w.held = w.held[:0]
		return
	}
	at := w.scanner.start + in.at
	w.write(p[w.out:at])
	w.write([]byte(in.text))
	w.out = at
}
