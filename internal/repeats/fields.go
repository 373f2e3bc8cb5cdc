package repeats

import (
	"bytes"
	"slices"
)

// names are the fields that are read, by the names that people give them. What
// stands in an object is headers.x or x, where the object is Caddy's request.
var names = map[string]string{
	"ts": "time", "time": "time", "time_local": "time", "time_iso8601": "time", "timestamp": "time", "@timestamp": "time", "msec": "time", "date": "time", "datetime": "time",

	"remote_addr": "client", "remote_ip": "client", "clientip": "client", "ip": "client", "client": "client", "remote": "client", "remote_host": "client", "remote_address": "client",
	"client_ip": "client_ip", "realip_remote_addr": "client",
	"http_x_forwarded_for": "forwarded", "x_forwarded_for": "forwarded", "xff": "forwarded", "forwarded_for": "forwarded", "X-Forwarded-For": "forwarded",

	"remote_user": "user", "user": "user", "user_id": "user", "username": "user", "auth_user": "user",
	"http_user_agent": "agent", "user_agent": "agent", "agent": "agent", "useragent": "agent", "userAgent": "agent", "ua": "agent", "User-Agent": "agent",
	"session": "session", "session_id": "session", "sessionid": "session", "sid": "session",
	"http_cookie": "cookie", "cookie": "cookie", "cookies": "cookie", "Cookie": "cookie",

	"request": "request", "request_line": "request",
	"request_method": "method", "method": "method", "http_method": "method", "verb": "method",
	"request_uri": "target", "uri": "path", "url": "path", "path": "path", "request_path": "path", "document_uri": "path",
	"args": "query", "query_string": "query", "query": "query",
	"host": "host", "http_host": "host", "vhost": "host", "server_name": "server", "virtual_host": "host",
	"scheme": "scheme", "request_scheme": "scheme", "http_x_forwarded_proto": "scheme",

	"status": "status", "status_code": "status", "response": "status", "response_code": "status", "http_status": "status", "code": "status",
	"request_time": "took", "duration": "took", "rt": "took",
	"bytes_read": "body", "content_length": "body", "http_content_length": "body", "Content-Length": "body", "request_length": "length",
	"sent_http_location": "location", "location": "location", "Location": "location",
	"http_idempotency_key": "key", "idempotency_key": "key", "Idempotency-Key": "key",
}

// fieldName is what a field or an object is called here; "?": it is not read.
func fieldName(b []byte) string {
	switch string(b) {
	case "request":
		return "request"
	case "headers":
		return "headers"
	case "resp_headers":
		return "resp_headers"
	case "tls":
		return "tls"
	}
	if what, ok := names[string(b)]; ok {
		return what
	}
	if bytes.HasPrefix(b, []byte("cookie_")) { // nginx's $cookie_NAME
		return "session"
	}
	return "?"
}

// field takes a value of the line to the entry. parent is the object it stands in:
// none, Caddy's request, or headers.
func (p *jsonLine) field(parent, key string, v []byte) {
	if v = set(v); v == nil || bytes.Equal(v, []byte("REDACTED")) {
		return
	}
	switch parent {
	case "", "request", "headers":
		p.known(parent, key, v)
	case "resp_headers":
		if key == "location" {
			p.entry.Location = v
		}
	case "tls":
		p.entry.Scheme = []byte("https")
	}
}

func (p *jsonLine) known(parent, key string, v []byte) {
	e := p.entry
	switch key {
	case "time":
		if t, ok := p.clock.anyTime(v); ok {
			e.Time, p.seen.time = t, true
		}
	case "status":
		if n, ok := whole(v); ok && n < 1000 {
			e.Status, p.seen.status = int(n), true
		}
	case "took":
		if ms, ok := span(v); ok {
			e.Took = ms
		}
	case "body", "length":
		if n, ok := whole(v); ok && (!e.SentExact || key == "body") {
			e.Sent, e.SentExact = n, key == "body"
		}
	case "request":
		splitRequest(v, e)
	case "client", "client_ip":
		if e.Client == nil || key == "client_ip" { // Caddy's client_ip is behind trusted proxies
			e.Client = v
			p.seen.clientIP = key == "client_ip"
		}
	default:
		p.texts(parent, key, v)
	}
}

// texts are the fields that are taken as they are.
func (p *jsonLine) texts(parent, key string, v []byte) {
	e := p.entry
	switch key {
	case "forwarded":
		e.Forwarded = v
	case "user":
		e.User = v
	case "agent":
		e.Agent = v
	case "session":
		e.Session = v
	case "cookie":
		if s := sessionOf(v); s != nil {
			e.Session = s
		}
	case "method":
		e.Method = v
	case "target":
		e.Target = v // as it came: $request_uri wins over $uri
	case "path":
		if e.Target == nil {
			e.Target = v
		}
	case "query":
		p.query = v
	case "host":
		e.Host = v
	case "server":
		if e.Host == nil {
			e.Host = v
		}
	case "scheme":
		e.Scheme = v
	case "location":
		e.Location = v
	case "key":
		e.Key = v
	}
}

// sessionCookies are names of session cookies of well-known frameworks: Django, PHP,
// Java, Express, Laravel, ASP.NET, Rails and Flask.
var sessionCookies = []string{"sessionid", "PHPSESSID", "JSESSIONID", "connect.sid", "laravel_session", "ASP.NET_SessionId", "_session_id", "session", "sid"}

// sessionOf finds a session in a Cookie header. Other cookies say little: they
// change from one request to the next.
func sessionOf(header []byte) []byte {
	for part := range bytes.SplitSeq(header, []byte(";")) {
		name, value, ok := bytes.Cut(bytes.TrimSpace(part), []byte("="))
		if ok && slices.Contains(sessionCookies, string(name)) {
			return value
		}
	}
	return nil
}
