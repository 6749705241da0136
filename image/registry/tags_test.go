package registry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mullion/mullion/image/registry"
)

// TestTagsEnd: a registry cannot keep a client that lists tags busy for ever.
func TestTagsEnd(t *testing.T) {
	for what, link := range map[string]func(page int64) string{
		"itself": func(int64) string { return "/v2/app/tags/list?last=x" },
		"empty":  func(page int64) string { return fmt.Sprintf("/v2/app/tags/list?last=%d", page) },
	} {
		var pages atomic.Int64
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				return
			}
			n := pages.Add(1)
			if n < 500 { // so that the test ends
				w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, link(n)))
			}
			tags := ""
			if what == "itself" {
				tags = `"x"`
			}
			fmt.Fprintf(w, `{"name":"app","tags":[%s]}`, tags)
		}))
		var failed error
		for _, err := range registry.Tags(t.Context(), strings.TrimPrefix(s.URL, "http://")+"/app", registry.WithPlainHTTP()) {
			failed = err
		}
		s.Close()
		if failed == nil || pages.Load() > 200 {
			t.Errorf("%s: %d pages, %v", what, pages.Load(), failed)
		}
	}
}
