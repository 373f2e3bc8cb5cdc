package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// requestError is a request that is wrong in itself.
type requestError struct{ text string }

func (e *requestError) Error() string { return e.text }

func wrong(format string, args ...any) error { return &requestError{fmt.Sprintf(format, args...)} }

// read takes the JSON object of a request. What is unknown, or comes twice, is
// refused by its name: a misspelled limit must not be no limit.
func read(r *http.Request, into any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	return decode(body, into)
}

func decode(body []byte, into any) error {
	if err := onlyOnce(body); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return wrong("%s", plain(err))
	}
	return nil
}

// plain is the reason of a decoder's error, for somebody who does not know Go.
func plain(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%s: want %s, got %s", t.Field, kindOf(t.Type), t.Value)
	}
	if errors.Is(err, io.EOF) {
		return "want a JSON object"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// kindOf says what a field takes.
func kindOf(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() { //nolint:exhaustive // of what requests hold, the others are numbers
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "an object"
	default:
		return "a whole number"
	}
}

// maxDepth bounds how deep JSON may be.
const maxDepth = 64

// onlyOnce refuses what is not one JSON object, objects with a name twice, and text
// that would be replaced, which would make two keys one.
func onlyOnce(body []byte) error {
	if !utf8.Valid(body) || halfPair(body) {
		return wrong("want UTF-8 text, and each \\u surrogate with its other half")
	}
	if text := bytes.TrimLeft(body, " \t\r\n"); len(text) > 0 && text[0] != '{' {
		return wrong("want a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := walk(d, 0, false); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF { //nolint:errorlint // Token gives io.EOF itself
		return wrong("want one JSON object and nothing after it")
	}
	return nil
}

// theirs are the members whose inside is the caller's own.
var theirs = map[string]bool{"input": true, "metadata": true, "result": true}

// ours reports whether a name can be one of this API's. The decoder would also take
// KEY for key, and the one for the other.
func ours(name string) bool {
	return !strings.ContainsFunc(name, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' })
}

// escapes finds pairs of surrogates first, then single ones, then every other escape.
var escapes = regexp.MustCompile(`\\u[dD][89abAB][[:xdigit:]]{2}\\u[dD][c-fC-F][[:xdigit:]]{2}|\\u[dD][89a-fA-F][[:xdigit:]]{2}|\\.`)

// halfPair reports an escaped surrogate without its other half.
func halfPair(body []byte) bool {
	return slices.ContainsFunc(escapes.FindAll(body, -1), func(e []byte) bool { return len(e) == len(`\ud800`) })
}

func walk(d *json.Decoder, depth int, free bool) error {
	t, err := d.Token()
	if err != nil {
		return wrong("%s", plain(err))
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return wrong("deeper than %d levels", maxDepth)
	}
	seen := map[string]bool{}
	for d.More() {
		inside := free
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return wrong("%s", plain(err))
			}
			text, _ := name.(string) // a name is one
			if seen[text] {
				return wrong("%.64q comes twice", text)
			}
			if !free && !ours(text) {
				return wrong("unknown field %.64q", text)
			}
			seen[text], inside = true, free || theirs[text]
		}
		if err := walk(d, depth+1, inside); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return wrong("%s", plain(err))
	}
	return nil
}

func writeJSON(w http.ResponseWriter, value any) {
	body, err := json.Marshal(value)
	if err != nil { // a fault of ours
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(body, '\n')) // the client is gone, if anything
}
