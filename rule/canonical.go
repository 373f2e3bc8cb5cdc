package rule

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seeother/seeother"
)

// Canonical says which of a site's URLs are the right ones. It becomes rules
// of its own: the names "acme", "https", "host" and "slash", of the file
// "canonical". The rest of the table goes before them, but for "acme".
type Canonical struct {
	// Origin is the site's own, "https://www.example.com". Empty: there are no
	// such rules, and the other fields must be empty too.
	Origin string
	// Hosts are the site's other names. They lead to Origin.
	Hosts []string
	// HTTPS leads from http to https, with 308. The path of ACME's HTTP
	// challenge (RFC 8555 section 8.3) is left alone.
	HTTPS bool
	// SameHostFirst goes from http to https on the same name before it goes to
	// Origin, as a site on the HSTS preload list must.
	SameHostFirst bool
	// Slash is "keep" or empty, "add" for paths that have no dot in their last
	// segment, or "remove".
	Slash string
	// Legacy uses 301 for GET and HEAD instead of 308.
	Legacy bool
}

// canonical is what a Match needs of it.
type canonical struct {
	origin  string
	aliases []string
	https   bool

	sameHostFirst bool
}

// Names and file of the rules that a Canonical makes.
const (
	canonicalFile = "canonical"
	acmePath      = "/.well-known/acme-challenge/*"
)

// Validate reports everything that is wrong.
func (c Canonical) Validate() error {
	var errs []error
	if c.Origin == "" {
		if len(c.Hosts) > 0 || c.HTTPS || c.Slash != "" && c.Slash != "keep" {
			errs = append(errs, &FieldError{"origin", errors.New("missing: the host of a redirect comes from the configuration")})
		}
	} else if origin, err := seeother.ParseOrigin(c.Origin); err != nil {
		errs = append(errs, &FieldError{"origin", err})
	} else if c.HTTPS && !strings.HasPrefix(origin, "https://") {
		errs = append(errs, &FieldError{"origin", fmt.Errorf("%q: want https:// where https is on", c.Origin)})
	}
	for _, host := range c.Hosts {
		err := checkHost(host)
		if err == nil && strings.HasPrefix(host, "*") {
			err = fmt.Errorf("host %q: want a whole name", host)
		}
		if err == nil && strings.EqualFold(host, c.host()) {
			err = fmt.Errorf("host %q: it is the origin's", host)
		}
		if err != nil {
			errs = append(errs, &FieldError{"hosts", err})
		}
	}
	if c.Slash != "" && c.Slash != "keep" && c.Slash != "add" && c.Slash != "remove" {
		errs = append(errs, &FieldError{"slash", fmt.Errorf("%q: want keep, add or remove", c.Slash)})
	}
	return errors.Join(errs...)
}

func (c Canonical) origin() string {
	origin, err := seeother.ParseOrigin(c.Origin)
	if err != nil {
		return ""
	}
	return origin
}

// host is the origin's, without port.
func (c Canonical) host() string {
	_, host, _ := strings.Cut(c.origin(), "://")
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	return host
}

func (c Canonical) ready() canonical {
	out := canonical{origin: c.origin(), https: c.HTTPS, sameHostFirst: c.SameHostFirst}
	for _, host := range c.Hosts {
		out.aliases = append(out.aliases, strings.ToLower(host))
	}
	return out
}

// before are the rules that go before all others.
func (c Canonical) before() []Rule {
	if !c.HTTPS || c.Validate() != nil {
		return nil
	}
	return []Rule{{Name: "acme", Scheme: "http", Path: acmePath, Intent: Pass, Note: "ACME asks over http"}}
}

// after are the rules that go behind all others.
func (c Canonical) after() []Rule {
	if c.Origin == "" || c.Validate() != nil {
		return nil
	}
	var out []Rule
	moved := func(r Rule) {
		r.Intent, r.Legacy = Moved, c.Legacy
		out = append(out, r)
	}
	if c.HTTPS && c.SameHostFirst {
		for _, host := range c.Hosts {
			moved(Rule{Name: "https", Scheme: "http", Hosts: []string{host}, Target: "https://" + host + "{path}"})
		}
	}
	if c.HTTPS {
		moved(Rule{Name: "https", Scheme: "http", Target: c.origin() + "{path}"})
	}
	if len(c.Hosts) > 0 {
		moved(Rule{Name: "host", Hosts: c.Hosts, Target: c.origin() + "{path}"})
	}
	switch c.Slash {
	case "add":
		moved(Rule{Name: "slash", Regexp: `^/(?:.*/)?[^/.]+$`, Target: "{path}/"})
	case "remove":
		moved(Rule{Name: "slash", Regexp: `^(/.*[^/])/+$`, Target: "{1}"})
	}
	return out
}
