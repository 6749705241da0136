package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/mullion/mullion/snapshotter"
	"google.golang.org/grpc/status"
)

// A meter counts the plugin's requests and the bytes they move.
type meter struct {
	requests family // by method and code
	seconds  family // by method
	inFlight family
	layers   family // by result
	bytes    family // by operation and form

	service *snapshotter.Service // whose holdings are counted for each scrape, nil for none
}

// A family is the series of one metric.
type family struct {
	name, kind, help string
	series           *metrics.Set
}

func newFamily(name, kind, help string) family {
	return family{name, kind, help, metrics.NewSet()}
}

// labelled returns the name of a series. labels alternate between names and values.
func (f *family) labelled(labels ...string) string {
	if len(labels) == 0 {
		return f.name
	}
	b := []byte(f.name)
	for i := 0; i < len(labels); i += 2 {
		b = append(b, "{,"[min(i, 1)])
		b = append(append(b, labels[i]...), '=')
		b = strconv.AppendQuote(b, labels[i+1])
	}
	return string(append(b, '}'))
}

func (f *family) counter(labels ...string) *metrics.Counter {
	return f.series.GetOrCreateCounter(f.labelled(labels...))
}

func (f *family) write(w io.Writer) {
	f.head(w)
	f.series.WritePrometheus(w)
}

func (f *family) head(w io.Writer) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, f.kind)
}

// durations in seconds: from a lookup in the metadata to a layer of several gigabytes.
var durations = []float64{.001, .005, .025, .1, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

func newMeter() *meter {
	m := &meter{
		requests: newFamily("mullion_requests_total", "counter", "Requests of containerd, by method of its services and by status code."),
		seconds:  newFamily("mullion_request_duration_seconds", "histogram", "How long requests took."),
		inFlight: newFamily("mullion_requests_in_flight", "gauge", "Requests that are being served."),
		layers:   newFamily("mullion_layers_applied_total", "counter", "Layers that were to be applied: made, reused because they were there already, or failed."),
		bytes:    newFamily("mullion_layer_bytes_total", "counter", "Bytes of layers that were applied or compared, stored (as in the blob) and tar (decompressed)."),
	}
	for _, r := range []string{"made", "reused", "failed"} {
		m.layers.counter("result", r) // a counter that is not there yet looks like one that is not counted
	}
	m.running()
	return m
}

// running is the number of requests that are being served.
func (m *meter) running() *metrics.Gauge {
	return m.inFlight.series.GetOrCreateGauge(m.inFlight.name, nil)
}

// observe counts an operation of the service.
func (m *meter) observe(e snapshotter.Event) {
	switch e.Op {
	case "apply":
		switch {
		case e.Err != nil:
			m.layers.counter("result", "failed").Inc()
		case e.Reused:
			m.layers.counter("result", "reused").Inc()
		default:
			m.layers.counter("result", "made").Inc()
		}
	case "compare":
	default:
		return
	}
	m.bytes.counter("form", "stored", "op", e.Op).AddInt64(e.StoredBytes)
	m.bytes.counter("form", "tar", "op", e.Op).AddInt64(e.TarBytes)
}

// request counts a request that has been answered.
func (m *meter) request(method string, begin time.Time, err error) {
	m.requests.counter("code", status.Code(err).String(), "method", method).Inc()
	m.seconds.series.GetOrCreatePrometheusHistogramExt(m.seconds.labelled("method", method), durations).UpdateDuration(begin)
}

// write writes all metrics in the text format of Prometheus.
func (m *meter) write(ctx context.Context, w io.Writer) error {
	for _, f := range []*family{&m.layers, &m.bytes, &m.seconds, &m.inFlight, &m.requests} {
		f.write(w)
	}
	if m.service != nil {
		if err := m.holdings(ctx, w); err != nil {
			return err
		}
	}
	metrics.WriteProcessMetrics(w)
	return nil
}

// holdings writes what the service holds at the moment.
func (m *meter) holdings(ctx context.Context, w io.Writer) error {
	n, err := m.service.Stats(ctx)
	if err != nil {
		return err
	}
	snapshots := family{name: "mullion_snapshots", kind: "gauge", help: "Snapshots, by kind."}
	snapshots.head(w)
	for _, k := range []struct {
		kind string
		n    int
	}{{"active", n.Active}, {"committed", n.Committed}, {"view", n.Views}} {
		fmt.Fprintf(w, "%s %d\n", snapshots.labelled("kind", k.kind), k.n)
	}
	for _, g := range []struct {
		family
		n int
	}{
		{family{name: "mullion_layers", kind: "gauge", help: "Layers in the store."}, n.Layers},
		{family{name: "mullion_mounts", kind: "gauge", help: "File system views that are being served."}, n.Mounted},
	} {
		g.head(w)
		fmt.Fprintf(w, "%s %d\n", g.name, g.n)
	}
	return nil
}

// ServeHTTP answers a scrape.
func (m *meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if err := m.write(r.Context(), &b); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = b.WriteTo(w)
}

// serve answers at address, under /metrics, until the function that it returns is
// called.
func (m *meter) serve(address string) (at string, stop func() error, err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	return l.Addr().String(), func() error {
		err := s.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}
