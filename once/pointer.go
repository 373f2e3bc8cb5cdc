package once

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// KeySource says where the key of a submission is. The zero value is the
// Idempotency-Key header.
type KeySource struct {
	Header string // a header; DefaultHeader where this and Pointer are empty
	// Pointer is a JSON pointer into the body (RFC 6901), such as /id. Then the key is
	// always required, and so is a body that is JSON and no larger than Config.Buffer.
	Pointer string
	// Varies are members of the body's object that may differ from one delivery to
	// the next. They are no part of the fingerprint.
	Varies []string
}

// Webhooks are where senders of webhooks put what is the same for each delivery of
// one event, by their names:
//
//   - stripe: the id of the event object. Its pending_webhooks counts deliveries.
//     https://docs.stripe.com/webhooks
//   - github: X-GitHub-Delivery, which a redelivery has, too.
//     https://docs.github.com/webhooks
//   - standard-webhooks: webhook-id.
//     https://www.standardwebhooks.com
//
// Signatures, and the time that they sign, are new for each delivery, and no part
// of a fingerprint; they reach the app as they came.
var Webhooks = map[string]KeySource{
	"stripe":            {Pointer: "/id", Varies: []string{"pending_webhooks"}},
	"github":            {Header: "X-Github-Delivery"},
	"standard-webhooks": {Header: "Webhook-Id"},
}

// ParseKeySource reads the name of one of Webhooks, a JSON pointer, or the name of a
// header.
func ParseKeySource(text string) (KeySource, error) {
	if k, ok := Webhooks[text]; ok {
		return k, nil
	}
	k := KeySource{Header: text}
	if strings.HasPrefix(text, "/") {
		k = KeySource{Pointer: text}
	}
	return k, k.validate()
}

func (k KeySource) validate() error {
	switch {
	case k.Pointer != "" && k.Header != "":
		return errors.New("key: want a header or a pointer, not both")
	case k.Pointer != "":
		_, err := parsePointer(k.Pointer)
		return err
	case strings.ContainsFunc(k.Header, notInName):
		return fmt.Errorf("key header %q: want letters, digits, - and _", k.Header)
	}
	return nil
}

// name is how a client is told where its key is.
func (k KeySource) name() string {
	if k.Pointer != "" {
		return "the key at " + k.Pointer + " of the body"
	}
	return k.Header
}

// parsePointer takes a JSON pointer apart (RFC 6901 section 4).
func parsePointer(text string) ([]string, error) {
	if !strings.HasPrefix(text, "/") || len(text) > 512 {
		return nil, fmt.Errorf("key %.64q: want a JSON pointer, such as /id", text)
	}
	parts := strings.Split(text[1:], "/")
	for i, p := range parts {
		for k := range len(p) {
			if p[k] == '~' && (k+1 == len(p) || p[k+1] != '0' && p[k+1] != '1') {
				return nil, fmt.Errorf("key %.64q: want ~0 for ~ and ~1 for /", text)
			}
		}
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(p, "~1", "/"), "~0", "~")
	}
	return parts, nil
}

// keyAt reads the key at a pointer into a JSON body: a string, or a number as it
// is written.
func keyAt(body []byte, pointer string) (string, error) {
	parts, err := parsePointer(pointer)
	if err != nil {
		return "", err
	}
	value := json.RawMessage(body)
	for _, part := range parts {
		if value, err = member(value, part); err != nil {
			return "", err
		}
	}
	value = bytes.TrimSpace(value)
	switch {
	case len(value) > 0 && value[0] == '"':
		var key string
		if err := json.Unmarshal(value, &key); err != nil {
			return "", fmt.Errorf("%w: the body is not JSON", errBadKey)
		}
		return key, checkLength(key)
	case len(value) > 0 && (value[0] == '-' || value[0] >= '0' && value[0] <= '9'):
		return string(value), checkLength(string(value))
	}
	return "", fmt.Errorf("%w: at %s of the body there is neither a string nor a number", errBadKey, pointer)
}

func checkLength(key string) error {
	switch {
	case key == "":
		return errEmptyKey
	case len(key) > MaxKey:
		return fmt.Errorf("%w: it is longer than %d bytes", errBadKey, MaxKey)
	}
	return nil
}

// member is one step of a pointer. Of a name that comes twice the last counts, as
// for most readers of JSON.
func member(value json.RawMessage, name string) (json.RawMessage, error) {
	value = bytes.TrimSpace(value)
	if len(value) > 0 && value[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(value, &list); err != nil {
			return nil, fmt.Errorf("%w: the body is not JSON", errBadKey)
		}
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(list) || strconv.Itoa(i) != name {
			return nil, errNoKey
		}
		return list[i], nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(value, &object); err != nil || object == nil {
		return nil, fmt.Errorf("%w: the body is no JSON object where the key should be", errBadKey)
	}
	next, ok := object[name]
	if !ok {
		return nil, errNoKey
	}
	return next, nil
}

// steady is a JSON body without the members that vary, in one order; a body that
// is no object is returned as it is.
func steady(body []byte, varies []string) []byte {
	var object map[string]json.RawMessage
	if len(varies) == 0 || json.Unmarshal(body, &object) != nil {
		return body
	}
	for _, name := range varies {
		delete(object, name)
	}
	out, err := json.Marshal(object)
	if err != nil {
		return body
	}
	return out
}
