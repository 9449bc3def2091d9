// Package page serves the sandbox's web pages: the handsets, with prompts to tap on, the mails, the payments, and the organisations'
// accounts, Paystack and its hosted pages. The pages only read and call the /sandbox API; nothing is rendered on the server, so nothing
// needs escaping there.
package page

import (
	"embed"
	"net/http"
)

//go:embed assets
var assets embed.FS

// policy lets the page load and call nothing but this server.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Routes adds the page's paths.
func Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", file("index.html", "text/html; charset=utf-8"))
	mux.HandleFunc("GET /phone/{msisdn}", file("phone.html", "text/html; charset=utf-8"))
	mux.HandleFunc("GET /organisation/{code}", file("organisation.html", "text/html; charset=utf-8"))
	mux.HandleFunc("GET /assets/organisation.js", file("organisation.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET /paystack", file("paystack.html", "text/html; charset=utf-8"))
	mux.HandleFunc("GET /assets/paystack.js", file("paystack.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET /paystack/checkout/{code}", file("checkout.html", "text/html; charset=utf-8"))
	mux.HandleFunc("GET /assets/checkout.js", file("checkout.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET /assets/app.css", file("app.css", "text/css; charset=utf-8"))
	mux.HandleFunc("GET /assets/index.js", file("index.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET /assets/phone.js", file("phone.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
}

func file(name, contentType string) http.HandlerFunc {
	body, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // the file is compiled in
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(body) // the browser hung up: nothing to do
	}
}
