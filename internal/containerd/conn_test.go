//go:build !windows

package containerd

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
)

// fakeContainerd answers Info with the namespace that it was asked in.
type fakeContainerd struct {
	contentapi.UnimplementedContentServer
}

func (fakeContainerd) Info(ctx context.Context, req *contentapi.InfoRequest) (*contentapi.InfoResponse, error) {
	ns, _ := namespaces.Namespace(ctx)
	return &contentapi.InfoResponse{Info: &contentapi.Info{Digest: req.Digest, Labels: map[string]string{"namespace": ns}}}, nil
}

func startFake(t *testing.T, address string) *grpc.Server {
	t.Helper()
	l, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	contentapi.RegisterContentServer(s, fakeContainerd{})
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return s
}

// The connection is made when it is needed, carries the namespace of the context, and
// outlives a restart of containerd.
func TestDial(t *testing.T) {
	address := filepath.Join(t.TempDir(), "c")
	conn, err := Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := func() error {
		resp, err := contentapi.NewContentClient(conn).Info(namespaces.WithNamespace(t.Context(), "theirs"), &contentapi.InfoRequest{})
		if err == nil && resp.Info.Labels["namespace"] != "theirs" {
			t.Errorf("asked in namespace %q", resp.Info.Labels["namespace"])
		}
		return err
	}
	noticeLoss := func() {
		for conn.GetState() == connectivity.Ready {
			time.Sleep(time.Millisecond)
		}
	}
	first := startFake(t, address)
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	first.Stop()
	noticeLoss()
	// The call comes first, containerd later.
	answered := make(chan error, 1)
	go func() { answered <- ask() }()
	time.Sleep(100 * time.Millisecond)
	second := startFake(t, address)
	if err := <-answered; err != nil {
		t.Errorf("after a restart: %v", err)
	}
	second.Stop()
	noticeLoss()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := contentapi.NewContentClient(conn).Info(ctx, &contentapi.InfoRequest{}); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), address) {
		t.Errorf("without containerd: %v", err)
	}
}
