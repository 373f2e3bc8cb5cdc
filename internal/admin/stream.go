package admin

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

const (
	heartbeat   = 15 * time.Second // between signs of life on a quiet stream
	streamWrite = 10 * time.Second // for one write: who reads no more is let go
)

// decisions lists the last decisions, the newest first.
func (h *Handler) decisions(w http.ResponseWriter, r *http.Request) error {
	if h.src.Events == nil {
		return errNotConfigured
	}
	limit, err := intParam(r, "limit", 100, 1, MaxEvents)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		Decisions []Event `json:"decisions"`
	}{h.src.Events.Last(limit)})
}

// stream sends decisions as they are made, as server-sent events of the HTML
// standard. Who comes back with Last-Event-ID first gets what it missed, as
// far as it is still kept.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request) error {
	if h.src.Events == nil {
		return errNotConfigured
	}
	missed, subscriber, err := h.src.Events.subscribe(lastEventID(r))
	if err != nil {
		return err
	}
	defer h.src.Events.unsubscribe(subscriber)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold the events back
	if r.Method == http.MethodHead {
		return nil
	}
	s := &eventWriter{w: w, control: http.NewResponseController(w)}
	// The server's times are for short answers. Neither call fails on a
	// net/http server, and elsewhere the stream just ends earlier.
	_ = s.control.SetReadDeadline(time.Time{})
	if s.send("retry: 2000\n\n") != nil || s.events(missed...) != nil {
		return nil
	}
	h.follow(r, s, subscriber)
	return nil
}

// follow sends until the client goes away, falls behind, or the gateway stops.
func (h *Handler) follow(r *http.Request, s *eventWriter, from *subscriber) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			return
		case event, ok := <-from.events:
			if !ok {
				return // the client connects again and says what it saw last
			}
			err = s.events(event)
		case <-beat.C:
			err = s.send(":\n\n")
		}
		if err != nil {
			return
		}
	}
}

// eventWriter writes events and sends each at once.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s *eventWriter) events(events ...Event) error {
	for _, event := range events {
		data, err := json.Marshal(event)
		if err != nil {
			return err
		}
		if err := s.send("id: " + strconv.FormatUint(event.ID, 10) + "\ndata: " + string(data) + "\n\n"); err != nil {
			return err
		}
	}
	return nil
}

func (s *eventWriter) send(text string) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(streamWrite)) // as above
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}

// lastEventID is the number of the event that the client saw last: a browser
// that connects again says it in a header, a page that starts in the query.
func lastEventID(r *http.Request) uint64 {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("after")
	}
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0 // somebody else's number: begin with what comes
	}
	return id
}
