package serve

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mullion/mullion/snapshotter"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The names, labels and buckets are what dashboards and alerts ask for.
func TestMetrics(t *testing.T) {
	m := newMeter()
	m.running().Inc()
	m.request("Stat", time.Now(), status.Error(codes.NotFound, ""))
	m.request("Apply", time.Now().Add(-3*time.Second), nil)
	m.observe(snapshotter.Event{Op: "apply", StoredBytes: 10, TarBytes: 30})
	m.observe(snapshotter.Event{Op: "apply", Reused: true})
	m.observe(snapshotter.Event{Op: "apply", Err: errors.New("no")})
	m.observe(snapshotter.Event{Op: "compare", StoredBytes: 1, TarBytes: 2})
	m.observe(snapshotter.Event{Op: "view", StoredBytes: 5})

	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if got := w.Header().Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}
	body := "\n" + w.Body.String()
	for _, want := range []string{
		"# HELP mullion_requests_total Requests of containerd, by method of its services and by status code.",
		"# TYPE mullion_requests_total counter",
		`mullion_requests_total{code="NotFound",method="Stat"} 1`,
		`mullion_requests_total{code="OK",method="Apply"} 1`,
		"# TYPE mullion_request_duration_seconds histogram",
		`mullion_request_duration_seconds_bucket{method="Apply",le="2.5"} 0`,
		`mullion_request_duration_seconds_bucket{method="Apply",le="5"} 1`,
		`mullion_request_duration_seconds_bucket{method="Apply",le="+Inf"} 1`,
		`mullion_request_duration_seconds_count{method="Stat"} 1`,
		"mullion_requests_in_flight 1",
		`mullion_layers_applied_total{result="made"} 1`,
		`mullion_layers_applied_total{result="reused"} 1`,
		`mullion_layers_applied_total{result="failed"} 1`,
		`mullion_layer_bytes_total{form="stored",op="apply"} 10`,
		`mullion_layer_bytes_total{form="tar",op="compare"} 2`,
	} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("no line %q", want)
		}
	}
	if strings.Contains(body, `op="view"`) {
		t.Error("an operation that moves no layer is counted")
	}
	if !strings.Contains(body, "\ngo_goroutines ") {
		t.Error("nothing about the process")
	}
}
