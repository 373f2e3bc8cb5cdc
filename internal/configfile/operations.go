package configfile

import (
	"net/url"
	"strings"
	"time"
)

// Operations are guarded submissions that take long.
type Operations struct {
	// Answer those that take long before the app has: a browser gets a waiting page, and a program that says `Prefer: respond-async` a status URL. The default for all routes.
	Enabled bool `yaml:"enabled"`
	// How long a browser waits for the app before it gets the waiting page.
	After Duration `yaml:"after"`
	// Whoever sent a submission may cancel it.
	Cancel bool `yaml:"cancel"`
	// How long an app has to end by itself when a submission was cancelled. Then its connection is cut.
	Grace Duration `yaml:"grace"`
	// Where the app reaches this gateway to report how far it is, such as `http://10.0.0.7:8303`. Empty: `listen`, where that and the app are both on this machine; else the app is told no address.
	Base string `yaml:"base"`
}

func defaultOperations() Operations {
	return Operations{After: seconds(3), Cancel: true, Grace: seconds(5)}
}

func (o Operations) check(r *report) {
	atLeast(r, "operations.after", o.After, Duration(time.Millisecond))
	atLeast(r, "operations.grace", o.Grace, Duration(time.Millisecond))
	if o.Base == "" {
		return
	}
	u, err := url.Parse(o.Base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		r.add("operations.base", "for example http://10.0.0.7:8303", "%q: want http or https, a host, maybe a port, and nothing else", clip(o.Base))
	}
}
