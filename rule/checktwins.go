package rule

import (
	"slices"
	"strings"
)

// maxTwins bounds the second thoughts for one rule, in requests: much in a small
// table, and where other rules answered all that came first.
const maxTwins = 48

// twins are further examples for a rule: its path with a slash or without, in
// other letters, as other members of character classes, with two segments or a
// text of other rules where an expression has a group. They look less ordinary
// than the first ones, but rules on the way may take those.
func (w *worker) twins(n uint32, tried bool) (out []witness) {
	most := maxTwins
	if tried && !w.few {
		most /= 6
	}
	e := w.t.entries.at(n)
	a := w.t.attrs[e.attr]
	if a.c.kind <= kindExact && a.c.space == 0 {
		return nil
	}
	paths := w.paths(e, a)
	for i, path := range w.twinPaths(a, paths) {
		if len(out) >= most || i >= 4*maxTwins {
			break
		}
		if slices.Contains(paths, path) {
			continue
		}
		if x, ok := w.exampleAt(n, path); ok {
			x.twin = true
			out = append(out, x)
		}
	}
	return out
}

// twinPaths are paths like those given, as far as the rule may take them.
func (w *worker) twinPaths(a *attrs, paths []string) (out []string) {
	add := func(list ...string) {
		for _, path := range list {
			if len(out) < 4*maxTwins && !slices.Contains(out, path) {
				out = append(out, path)
			}
		}
	}
	if len(paths) > 0 {
		add(spellings(paths[0], a.c.space)...)
	}
	if target := a.proto.Target; a.own && strings.HasPrefix(target, "/") && !strings.ContainsAny(target, "{?#") {
		add(target)
	}
	if a.c.kind == kindPattern {
		for _, value := range [...]string{"1", "A", "x.x"} {
			add(fill(a.c.segments, a.c.space, []string{value}, a.c.below, "/"+value))
		}
	}
	if a.c.kind == kindRegexp {
		add(w.regexpPaths(a, manyExamples)...)
		for _, path := range paths[:min(len(paths), maxHosts)] {
			add(w.filled(a, path)...)
		}
	}
	for _, path := range slices.Clone(out) {
		add(spellings(path, a.c.space)...)
	}
	for _, path := range paths {
		add(spellings(path, a.c.space)...)
	}
	return out
}

// spellings are other ways to write a path, as far as the space makes them the
// same; a slash at the end may matter or not.
func spellings(path string, s space) (out []string) {
	cases := []string{path}
	if s&spaceFold != 0 {
		cases = append(cases, withLetters(path, 'a', 'z', 1), withLetters(path, 'a', 'z', -1), withLetters(path, 'A', 'Z', -1))
	}
	for _, text := range cases {
		out = append(out, text)
		if trimmed, ok := strings.CutSuffix(text, "/"); ok && trimmed != "" {
			out = append(out, trimmed)
		} else if !ok {
			out = append(out, text+"/")
		}
	}
	if i := strings.LastIndexByte(strings.TrimSuffix(path, "/"), '/'); s&spaceDecoded != 0 && i >= 0 {
		out = append(out, path[:i]+"/"+path[i:])
		if i > 0 {
			out = append(out, path[:i]+"%2F"+path[i+1:])
		}
	}
	return out[1:]
}

// withLetters changes the case of the first most letters from first to last; -1
// is all of them. Percent-encodings stay.
func withLetters(path string, first, last byte, most int) string {
	b := []byte(path)
	for i := 0; i < len(b) && most != 0; i++ {
		switch {
		case b[i] == '%':
			i += 2
		case first <= b[i] && b[i] <= last:
			b[i] ^= 'a' - 'A'
			most--
		}
	}
	return string(b)
}

// filled are paths like one that an expression matches, with other texts for
// its groups.
func (w *worker) filled(a *attrs, path string) (out []string) {
	seen, ok := comparedPath(path, a.c.space)
	if !ok {
		return nil
	}
	values := append(slices.Clone(w.seeds), "x/y")
	for _, seed := range w.seeds {
		values = append(values, seed+"/"+seed)
	}
	at := a.c.re.FindStringSubmatchIndex(seen)
	for i := 2; i+1 < len(at) && i <= 2*maxHosts; i += 2 {
		if at[i] < 0 {
			continue
		}
		for _, value := range values {
			if a.c.space&spaceDecoded != 0 {
				value, _ = comparedPath(value, a.c.space)
			}
			text := seen[:at[i]] + value + seen[at[i+1]:]
			if !a.c.re.MatchString(text) {
				continue
			}
			out = append(out, rawText(text, a.c.space))
		}
	}
	return out
}
