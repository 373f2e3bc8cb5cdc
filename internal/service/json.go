package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
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
		return fmt.Sprintf("%s: want %s, got %s", t.Field, strings.TrimPrefix(t.Type.String(), "*"), t.Value)
	}
	if errors.Is(err, io.EOF) {
		return "want a JSON object"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// maxDepth bounds how deep JSON may be.
const maxDepth = 64

// onlyOnce refuses what is not one JSON value, and objects with a name twice.
func onlyOnce(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := walk(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF { //nolint:errorlint // Token gives io.EOF itself
		return wrong("want one JSON object and nothing after it")
	}
	return nil
}

func walk(d *json.Decoder, depth int) error {
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
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return wrong("%s", plain(err))
			}
			text, _ := name.(string) // a name is one
			if seen[text] {
				return wrong("%.64q comes twice", text)
			}
			seen[text] = true
		}
		if err := walk(d, depth+1); err != nil {
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
