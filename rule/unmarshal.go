package rule

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/seeother/seeother"
)

// UnmarshalJSON reads r strictly: an unknown key is an error, also one in
// capitals, and so is one that stands there twice. "host" may stand for "hosts"
// with one entry. A time is one of RFC 3339, or a date alone, which is its
// beginning in UTC.
func (r *Rule) UnmarshalJSON(data []byte) error {
	type plain Rule
	in := struct {
		*plain

		Host        string  `json:"host"`
		From        *string `json:"from"`
		Until       *string `json:"until"`
		Deprecation *string `json:"deprecation"`
		Sunset      *string `json:"sunset"`
		MaxAge      *string `json:"max_age"`
		Stage       *string `json:"stage"`
	}{plain: (*plain)(r)}
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	if err := checkKeys(data, ruleKeys); err != nil {
		return err
	}
	if in.Host != "" {
		if len(r.Hosts) > 0 {
			return &FieldError{"host", errors.New("want host or hosts, not both")}
		}
		r.Hosts = []string{in.Host}
	}
	return errors.Join(
		setField("from", in.From, &r.From, readTime), setField("until", in.Until, &r.Until, readTime),
		setField("deprecation", in.Deprecation, &r.Deprecation, readTime), setField("sunset", in.Sunset, &r.Sunset, readTime),
		setField("max_age", in.MaxAge, &r.MaxAge, readDuration), setField("stage", in.Stage, &r.Stage, seeother.ParseStage),
	)
}

// setField reads a text, where there is one.
func setField[T any](field string, text *string, at *T, read func(string) (T, error)) error {
	if text == nil {
		return nil
	}
	v, err := read(*text)
	if err != nil {
		return &FieldError{field, err}
	}
	*at = v
	return nil
}

func readTime(v string) (time.Time, error) {
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, v); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: want a date such as 2026-12-31, or a time such as 2026-12-31T18:00:00Z", v)
}

func readDuration(v string) (d Duration, err error) {
	if err = d.UnmarshalText([]byte(v)); err != nil {
		err = fmt.Errorf("%q: want a duration such as 90s or 24h", v)
	}
	return d, err
}

// keyError is a key of a JSON object that must not stand there.
type keyError struct {
	offset int // in bytes
	reason string
}

func (e *keyError) Error() string { return e.reason }

// The keys of a rule and of a condition.
var (
	ruleKeys      = append(keysOf[Rule](), "host")
	conditionKeys = keysOf[Condition]()
)

func keysOf[T any]() (keys []string) {
	for f := range reflect.TypeFor[T]().Fields() {
		if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); key != "-" {
			keys = append(keys, key)
		}
	}
	return keys
}

// checkKeys looks for what encoding/json lets pass in JSON that is right: a key
// that stands twice in an object, and one of keys in other letters.
func checkKeys(data []byte, keys []string) error {
	var open []map[string]bool // keys of the objects that are not closed; nil: a list
	isKey := false
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{':
			open, isKey = append(open, map[string]bool{}), true
		case '[':
			open, isKey = append(open, nil), false
		case '}', ']':
			open = open[:max(len(open)-1, 0)]
		case ',':
			isKey = len(open) > 0 && open[len(open)-1] != nil
		case '"':
			end := endOfText(data, i)
			if isKey {
				isKey = false
				if reason := wrongKey(data[i:end], open, keys); reason != "" {
					return &keyError{i, reason}
				}
			}
			i = end - 1
		}
	}
	return nil
}

// endOfText is the index behind the quote that ends a JSON text.
func endOfText(data []byte, i int) int {
	for i++; i < len(data) && data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return min(i+1, len(data))
}

// wrongKey says what is wrong with a key of the object that was opened last.
func wrongKey(text []byte, open []map[string]bool, keys []string) string {
	var key string
	if json.Unmarshal(text, &key) != nil {
		return ""
	}
	seen := open[len(open)-1]
	if seen[key] {
		return fmt.Sprintf("key %q stands there twice", key)
	}
	seen[key] = true
	switch {
	case len(open) == 1:
	case len(open) == 3 && open[1] == nil: // a list of objects is one of conditions
		keys = conditionKeys
	default:
		return ""
	}
	if slices.Contains(keys, key) {
		return ""
	}
	if i := slices.IndexFunc(keys, func(k string) bool { return strings.EqualFold(k, key) }); i >= 0 {
		return fmt.Sprintf("key %q: want %q", key, keys[i])
	}
	return ""
}
