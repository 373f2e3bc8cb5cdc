package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Record is what the service knows of a key. It holds no key, input or result.
type Record struct {
	ID         string           `json:"id"`
	State      string           `json:"state"` // started, completed, released, uncertain
	Generation uint64           `json:"generation"`
	Agent      string           `json:"route"`
	Tool       string           `json:"path"`
	KeyHash    string           `json:"keyHash"`
	Reason     string           `json:"reason"`
	Started    time.Time        `json:"started"`
	Ended      time.Time        `json:"ended"`
	LeaseEnds  time.Time        `json:"leaseEnds"` // of a started one
	Expires    time.Time        `json:"expires"`   // zero: never by itself
	Kept       bool             `json:"bodyKept"`
	ResolvedBy string           `json:"resolvedBy"` // an operator's note
	Spent      map[string]int64 `json:"spent"`      // by account, in millionths: reserved, or spent once it is completed
}

// Query selects records for List.
type Query struct {
	State  string // empty: all
	Key    string // empty: all
	Cursor string // of the page before
	Limit  int    // the service's default where 0
}

// Page is one page of a List; Cursor is empty on the last.
type Page struct {
	Records []Record `json:"records"`
	Cursor  string   `json:"cursor"`
}

// Get is a record by its ID. Errors: ErrNotFound, ErrUnavailable, ErrUnauthorized,
// or the context's.
func (c *Client) Get(ctx context.Context, id string) (Record, error) {
	var r Record
	_, err := c.do(ctx, call{op: "get", method: http.MethodGet, path: "/v1/records/" + url.PathEscape(id)}, &r)
	return r, err
}

// List is a page of records. With a Key, a page may hold fewer than the limit, or
// none, and still not be the last. Errors: as Get's, and ErrInvalid.
func (c *Client) List(ctx context.Context, q Query) (Page, error) {
	values := url.Values{}
	for name, value := range map[string]string{"state": q.State, "key": q.Key, "cursor": q.Cursor} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if q.Limit != 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	var p Page
	_, err := c.do(ctx, call{op: "list", method: http.MethodGet, path: "/v1/records?" + values.Encode()}, &p)
	return p, err
}
