package form

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/dunglas/httpsfv"
)

// flashItem is one message of a header.
type flashItem struct {
	Flash
	to string // empty: where Location leads
}

// parseFlashes reads the lines of a FlashHeader (RFC 9651 section 4.2.1). It is all
// of them or none: half of what an app said may be worse than nothing.
func parseFlashes(lines []string) ([]flashItem, error) {
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	if size > maxFlashHeader {
		return nil, fmt.Errorf("%w: header of %d bytes: want %d at most", ErrFlash, size, maxFlashHeader)
	}
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil {
		return nil, fmt.Errorf("%w: header: want a list of strings, such as \"Saved\";kind=notice, and what is not ASCII as %%\"Gr%%c3%%bc%%c3%%9fe\" or :R3LDvMOfZQ==: instead", ErrFlash)
	}
	items := make([]flashItem, 0, len(list))
	for i, member := range list {
		item, err := flashOf(member)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", i+1, err)
		}
		items = append(items, item)
	}
	return items, nil
}

// flashOf reads one member. Parameters that are not known are left to later versions.
func flashOf(member httpsfv.Member) (flashItem, error) {
	item, ok := member.(httpsfv.Item)
	if !ok {
		return flashItem{}, fmt.Errorf("%w: want a string, not a list", ErrFlash)
	}
	var out flashItem
	if out.Text, ok = flashText(item.Value); !ok {
		return flashItem{}, fmt.Errorf("%w: want a string", ErrFlash)
	}
	if kind, found := item.Params.Get("kind"); found {
		if out.Kind, ok = flashWord(kind); !ok {
			return flashItem{}, fmt.Errorf("%w: kind: want a word", ErrFlash)
		}
	}
	if to, found := item.Params.Get("to"); found {
		if out.to, ok = flashText(to); !ok || out.to == "" {
			return flashItem{}, fmt.Errorf("%w: to: want a path as a string", ErrFlash)
		}
	}
	m, err := out.checked()
	out.Flash = m
	return out, err
}

// flashText takes what can hold any text. A percent sign in a plain string is one.
func flashText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case httpsfv.DisplayString:
		return string(v), true
	case []byte:
		return string(v), true
	}
	return "", false
}

func flashWord(value any) (string, bool) {
	switch v := value.(type) {
	case httpsfv.Token:
		return string(v), v != ""
	case string:
		return v, v != ""
	}
	return "", false
}

// formatFlashes writes a FlashHeader of Display Strings. Whatever the text is, the
// result is printable ASCII in one line.
func formatFlashes(items []flashItem) (string, error) {
	list := make(httpsfv.List, 0, len(items))
	for _, item := range items {
		member := httpsfv.NewItem(httpsfv.DisplayString(item.Text))
		member.Params.Add("kind", httpsfv.Token(item.Kind))
		if item.to != "" {
			member.Params.Add("to", httpsfv.DisplayString(item.to))
		}
		list = append(list, member)
	}
	return httpsfv.Marshal(list)
}

// dropFlashHeader takes off what a client sends. CGI, WSGI and PHP give an app the
// same name for "-" and "_".
func dropFlashHeader(h http.Header) {
	for name := range h {
		if isFlashHeader(name) {
			delete(h, name)
		}
	}
}

func hasFlashHeader(h http.Header) bool {
	for name := range h {
		if isFlashHeader(name) {
			return true
		}
	}
	return false
}

func isFlashHeader(name string) bool {
	return len(name) == len(FlashHeader) && strings.EqualFold(strings.ReplaceAll(name, "_", "-"), FlashHeader)
}
