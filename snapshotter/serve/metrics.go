package serve

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/mullion/mullion/snapshotter"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/status"
)

// metrics counts the plugin's requests and the bytes they move.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec   // by method and code
	seconds  *prometheus.HistogramVec // by method
	inFlight prometheus.Gauge
	layers   *prometheus.CounterVec // by result
	bytes    *prometheus.CounterVec // by operation and form
}

// durations in seconds: from a lookup in the metadata to a layer of several gigabytes.
var durations = []float64{.001, .005, .025, .1, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mullion_requests_total",
			Help: "Requests of containerd, by method of its services and by status code."}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "mullion_request_duration_seconds",
			Help: "How long requests took.", Buckets: durations}, []string{"method"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mullion_requests_in_flight",
			Help: "Requests that are being served."}),
		layers: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mullion_layers_applied_total",
			Help: "Layers that were to be applied: made, reused because they were there already, or failed."}, []string{"result"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mullion_layer_bytes_total",
			Help: "Bytes of layers that were applied or compared, stored (as in the blob) and tar (decompressed)."}, []string{"op", "form"}),
	}
	for _, r := range []string{"made", "reused", "failed"} {
		m.layers.WithLabelValues(r) // a counter that is not there yet looks like one that is not counted
	}
	m.registry.MustRegister(m.requests, m.seconds, m.inFlight, m.layers, m.bytes,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	return m
}

// observe counts an operation of the service.
func (m *metrics) observe(e snapshotter.Event) {
	switch e.Op {
	case "apply":
		switch {
		case e.Err != nil:
			m.layers.WithLabelValues("failed").Inc()
		case e.Reused:
			m.layers.WithLabelValues("reused").Inc()
		default:
			m.layers.WithLabelValues("made").Inc()
		}
	case "compare":
	default:
		return
	}
	m.bytes.WithLabelValues(e.Op, "stored").Add(float64(e.StoredBytes))
	m.bytes.WithLabelValues(e.Op, "tar").Add(float64(e.TarBytes))
}

// request counts a request that has been answered.
func (m *metrics) request(method string, begin time.Time, err error) {
	m.requests.WithLabelValues(method, status.Code(err).String()).Inc()
	m.seconds.WithLabelValues(method).Observe(time.Since(begin).Seconds())
}

// holds collects the service's gauges for each scrape.
func (m *metrics) holds(s *snapshotter.Service) {
	m.registry.MustRegister(&holdings{s})
}

type holdings struct{ service *snapshotter.Service }

var (
	descSnapshots = prometheus.NewDesc("mullion_snapshots", "Snapshots, by kind.", []string{"kind"}, nil)
	descLayers    = prometheus.NewDesc("mullion_layers", "Layers in the store.", nil, nil)
	descMounts    = prometheus.NewDesc("mullion_mounts", "File system views that are being served.", nil, nil)
)

// Describe implements prometheus.Collector.
func (h *holdings) Describe(c chan<- *prometheus.Desc) {
	c <- descSnapshots
	c <- descLayers
	c <- descMounts
}

// Collect implements prometheus.Collector.
func (h *holdings) Collect(c chan<- prometheus.Metric) {
	n, err := h.service.Stats(context.Background())
	if err != nil {
		c <- prometheus.NewInvalidMetric(descSnapshots, err)
		return
	}
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	gauge(descSnapshots, n.Active, "active")
	gauge(descSnapshots, n.Views, "view")
	gauge(descSnapshots, n.Committed, "committed")
	gauge(descLayers, n.Layers)
	gauge(descMounts, n.Mounted)
}

// serve answers at address, under /metrics, until the function that it returns is
// called.
func (m *metrics) serve(address string) (at string, stop func() error, err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
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
