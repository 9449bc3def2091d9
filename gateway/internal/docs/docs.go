package docs

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"

	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/web"
)

const title = "SENDTIP API"

// page is a document that does not change while the process lives.
type page struct {
	mediaType string
	body      []byte
	etag      string
}

func newPage(mediaType string, body []byte) page {
	sum := sha256.Sum256(body)
	return page{mediaType: mediaType, body: body, etag: `"` + hex.EncodeToString(sum[:12]) + `"`}
}

// Handler serves /openapi.json and /docs.
type Handler struct {
	pages  map[string]page
	assets http.Handler
	policy string
}

// New renders everything once. publicURL is the server of /openapi.json; the UI's own copies use the address it was opened by, so
// that trying out works under every name of this host.
func New(fsys fs.FS, services []string, publicURL string) (*Handler, error) {
	h := &Handler{pages: map[string]page{}}
	if publicURL == "" {
		publicURL = "/"
	}
	if err := h.spec(fsys, "/openapi.json", services, title, publicURL); err != nil {
		return nil, err
	}
	if err := h.spec(fsys, "/docs/all.json", services, title, "/"); err != nil {
		return nil, err
	}
	urls := []map[string]string{{"name": "all services", "url": "/docs/all.json"}}
	for _, s := range services {
		path := "/docs/" + s + ".json"
		if err := h.spec(fsys, path, []string{s}, title+": "+s, "/"); err != nil {
			return nil, err
		}
		urls = append(urls, map[string]string{"name": s, "url": path})
	}
	return h, h.ui(urls)
}

func (h *Handler) spec(fsys fs.FS, path string, services []string, title, server string) error {
	doc, err := Merge(fsys, services, title, server)
	if err != nil {
		return err
	}
	h.pages[path] = newPage("application/json", doc)
	return nil
}

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// freshKey gives each try an Idempotency-Key of its own, as long as the person has not written one: the example's would replay the first
// try's answer. crypto.randomUUID is missing on pages without TLS, random bytes are not.
const freshKey = `function (request) {
      var headers = request.headers || {};
      if (headers["Idempotency-Key"] === "` + exampleKey + `") {
        headers["Idempotency-Key"] = 
          Array.from(crypto.getRandomValues(new Uint8Array(16)), function (b) { return b.toString(16).padStart(2, "0"); }).join("")
          .replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, "$1-$2-4$3-a$4-$5");
      }
      return request;
    }`

// exampleKey is the example of the parameter in common.yaml.
const exampleKey = "5f0c9f9e-8c0c-4d6e-9c56-6b8f2a1c0d4e"

// ui renders Swagger UI's page once and allows exactly its inline scripts by their hashes. Styles stay open: the UI sets them on elements.
func (h *Handler) ui(urls []map[string]string) error {
	list, err := json.Marshal(urls)
	if err != nil {
		return fmt.Errorf("list documents: %w", err)
	}
	ui := v5emb.NewHandlerWithConfig(swgui.Config{Title: title, SwaggerJSON: "/docs/all.json", BasePath: "/docs/", ShowTopBar: true,
		SettingsUI: map[string]string{
			"urls": string(list), "persistAuthorization": "true", "tryItOutEnabled": "true", "requestSnippetsEnabled": "true",
			"displayRequestDuration": "true",
			"filter":                 "true", "docExpansion": `"list"`, "queryConfigEnabled": "false", "showExtensions": "false",
			"requestInterceptor": freshKey,
		}})
	rec := httptest.NewRecorder()
	ui.ServeHTTP(rec, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/docs/", nil))
	index := rec.Body.Bytes()
	h.pages["/docs"], h.assets = newPage("text/html; charset=utf-8", index), ui
	scripts := []string{"'self'"}
	for _, m := range inlineScript.FindAllSubmatch(index, -1) {
		sum := sha256.Sum256(m[1])
		scripts = append(scripts, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	h.policy = "default-src 'none'; script-src " + strings.Join(scripts, " ") + "; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
		"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return nil
}

// ServeHTTP answers GET and HEAD.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		web.MethodNotAllowed(w, r)
		return
	}
	w.Header().Set("Content-Security-Policy", h.policy)
	path := r.URL.Path
	switch path {
	case "/":
		http.Redirect(w, r, "/docs", http.StatusFound)
		return
	case "/docs/":
		path = "/docs"
	}
	p, ok := h.pages[path]
	switch {
	case ok:
		p.serve(w, r)
	case asset.MatchString(path):
		w.Header().Set("Cache-Control", "public, max-age=3600")
		h.assets.ServeHTTP(w, r)
	default:
		web.WriteProblem(w, r, fault.ErrNotFound)
	}
}

// asset are the files of Swagger UI; the page itself is ours.
var asset = regexp.MustCompile(`^/docs/(swagger-ui[a-z-]*\.(js|css)|favicon-[0-9x]+\.png)$`)

func (p page) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", p.mediaType)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", p.etag)
	if strings.Contains(r.Header.Get("If-None-Match"), p.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", fmt.Sprint(len(p.body)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(p.body) // the reader may have gone
}
