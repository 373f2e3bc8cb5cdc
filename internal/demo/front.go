package demo

import (
	"net/http"
	"slices"
	"strconv"
)

const mostOfAnItem = 9 // in one order

var items = []string{"paper kite", "tin robot", "wooden train"}

// form shows the form, in plain HTML. Nothing in it keeps anybody from sending it
// twice. With "redirect" in the query it is answered by a 302, else by a page. With
// "keep" browsers may keep the page for a minute, as many sites let them: two tabs
// of it then hold one and the same form.
func (s *shop) form(w http.ResponseWriter, r *http.Request) {
	s.front(w)
	if r.URL.Query().Has("keep") {
		w.Header().Set("Cache-Control", "max-age=60")
	}
	_ = pages.ExecuteTemplate(w, "shop.html", map[string]any{ // the client is gone, if anything
		"Items": items, "Most": mostOfAnItem, "Redirect": r.URL.Query().Has("redirect"),
	})
}

// buy makes an order of each form that comes.
func (s *shop) buy(w http.ResponseWriter, r *http.Request) {
	item := r.PostFormValue("item")
	quantity, err := strconv.Atoi(r.PostFormValue("quantity"))
	if err != nil || quantity < 1 || quantity > mostOfAnItem || !slices.Contains(items, item) {
		http.Error(w, "the shop does not have that", http.StatusUnprocessableEntity)
		return
	}
	id := s.makeOrder(s.checkoutTime / 2)
	if r.URL.Query().Has("redirect") {
		found(w, "/thanks/"+strconv.Itoa(id))
		return
	}
	s.thank(w, id, strconv.Itoa(quantity)+" × "+item)
}

// thanks is where the form that is answered by a 302 leads to.
func (s *shop) thanks(w http.ResponseWriter, r *http.Request) {
	id, ok := s.ordered(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	s.thank(w, id, "")
}

func (s *shop) thank(w http.ResponseWriter, id int, what string) {
	s.front(w)
	_ = pages.ExecuteTemplate(w, "thanks.html", map[string]any{"Order": id, "What": what}) // as above
}

// front writes the header of a page that people see. Its forms go to this shop,
// and the board may show it in a frame. A stricter Referrer-Policy would make
// browsers hide the form's origin (Fetch standard, "append a request Origin header").
func (s *shop) front(w http.ResponseWriter) {
	policy(w, "form-action 'self'; frame-ancestors "+s.framedBy)
	w.Header().Set("Referrer-Policy", "same-origin")
}
