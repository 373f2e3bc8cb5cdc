package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seeother/seeother/once"
)

const (
	maxPage = 1000 // records in one answer
	maxNote = 1000 // bytes of an operator's note
)

// recordStates are what ?state= may name.
var recordStates = []string{once.StateStarted, once.StateCompleted, once.StateReleased, once.StateUncertain, once.StateExpired}

// recordQuery reads what to list from the query of a URL.
func recordQuery(r *http.Request) (once.Query, error) {
	values := r.URL.Query()
	q := once.Query{State: values.Get("state"), Key: values.Get("key"), Cursor: values.Get("cursor")}
	if q.State != "" && !slices.Contains(recordStates, q.State) {
		return q, &inputError{fmt.Sprintf("state %q: want %s", q.State, strings.Join(recordStates, ", "))}
	}
	limit, err := intParam(r, "limit", 100, 1, maxPage)
	q.Limit = limit
	return q, err
}

func (h *Handler) records(w http.ResponseWriter, r *http.Request) error {
	if h.src.Once == nil {
		return errNotConfigured
	}
	q, err := recordQuery(r)
	if err != nil {
		return err
	}
	page, err := h.src.Once.List(r.Context(), q)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, recordList{Records: append([]once.Summary{}, page.Records...), Cursor: page.Cursor})
}

// recordList has a cursor always: empty on the last page.
type recordList struct {
	Records []once.Summary `json:"records"`
	Cursor  string         `json:"cursor"`
}

func (h *Handler) record(w http.ResponseWriter, r *http.Request) error {
	if h.src.Once == nil {
		return errNotConfigured
	}
	summary, err := h.src.Once.Show(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, summary)
}

func (h *Handler) resolve(w http.ResponseWriter, r *http.Request) error {
	var how once.Resolution
	if err := decodeJSON(w, r, &how); err != nil {
		return err
	}
	summary, err := h.settle(r, how)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, summary)
}

// settle checks a resolution and carries it out.
func (h *Handler) settle(r *http.Request, how once.Resolution) (once.Summary, error) {
	if h.src.Once == nil {
		return once.Summary{}, errNotConfigured
	}
	if how.As != once.StateCompleted && how.As != once.StateReleased {
		return once.Summary{}, &inputError{fmt.Sprintf("as %q: want %s or %s", how.As, once.StateCompleted, once.StateReleased)}
	}
	if len(how.Note) > maxNote {
		return once.Summary{}, &inputError{fmt.Sprintf("note: want at most %d bytes", maxNote)}
	}
	return h.src.Once.Resolve(r.Context(), r.PathValue("id"), how)
}

// resolveForm is resolve for a page's form: it answers with the page again
// (303), so that a reload does not send the form twice.
func (h *Handler) resolveForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return bodyError(err)
	}
	how := once.Resolution{As: r.PostForm.Get("as"), Note: strings.ToValidUTF8(r.PostForm.Get("note"), "\uFFFD")}
	if _, err := h.settle(r, how); err != nil {
		return err
	}
	w.Header().Set("Location", "/?resolved="+how.As+"#uncertain") // one of two words
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
