package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
)

const maxBody = 64 << 10 // bytes of a request body

var (
	errBodyType = errors.New("want Content-Type application/json")
	errBodySize = fmt.Errorf("want at most %d bytes", maxBody)
)

// decodeJSON reads one JSON value from the body, strictly: the type must be
// said, members must be known, and nothing may follow.
func decodeJSON(w http.ResponseWriter, r *http.Request, into any) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return errBodyType
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return bodyError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("something follows the JSON value")
		}
		return bodyError(err)
	}
	return nil
}

func bodyError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errBodySize
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("it is empty")
	}
	return &inputError{fmt.Sprintf("body: %v", err)}
}

// inputError is what a client can mend; its text is sent.
type inputError struct{ text string }

func (e *inputError) Error() string { return e.text }

// intParam reads a number from the query; absent is fallback.
func intParam(r *http.Request, name string, fallback, least, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, &inputError{fmt.Sprintf("%s %q: want a number from %d to %d", name, text, least, most)}
	}
	return n, nil
}
