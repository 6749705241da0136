package serve

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"runtime/debug"
	"time"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// requests wraps every request: it counts and logs it, passes the namespace on, and
// recovers from a panic, so that a bug in one request doesn't end the others.
type requests struct {
	metrics *meter
	log     *slog.Logger
}

func (r *requests) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (reply any, err error) {
	r.metrics.running().Inc()
	defer r.finish(info.FullMethod, req, time.Now(), &err)
	defer r.recover(info.FullMethod, &err)
	reply, err = handle(withNamespace(ctx), req)
	return reply, plain(err)
}

// plain reduces an error to its kind and its text. containerd's services also send the
// errors it wraps, and a client would print those again, each on a line of its own.
func plain(err error) error {
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	return status.Error(s.Code(), s.Message())
}

func (r *requests) stream(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	r.metrics.running().Inc()
	defer r.finish(info.FullMethod, nil, time.Now(), &err)
	defer r.recover(info.FullMethod, &err)
	return plain(handle(srv, &namespacedStream{s, withNamespace(s.Context())}))
}

// withNamespace makes the namespace of a request also that of the calls back to
// containerd, which are made on its behalf.
func withNamespace(ctx context.Context) context.Context {
	if ns, ok := namespaces.Namespace(ctx); ok {
		return namespaces.WithNamespace(ctx, ns)
	}
	return ctx
}

type namespacedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *namespacedStream) Context() context.Context { return s.ctx }

func (r *requests) recover(method string, err *error) {
	if p := recover(); p != nil {
		r.log.Error("request failed by a bug", "method", path.Base(method), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		*err = status.Errorf(codes.Internal, "%s: %v", path.Base(method), p)
	}
}

func (r *requests) finish(method string, req any, begin time.Time, err *error) {
	name := path.Base(method)
	r.metrics.running().Dec()
	r.metrics.request(name, begin, *err)
	level := slog.LevelDebug
	attrs := append([]slog.Attr{slog.String("method", name), slog.Duration("duration", time.Since(begin))}, subject(req)...)
	if _, ok := req.(*diffapi.ApplyRequest); ok {
		level = slog.LevelInfo
	}
	text := "request"
	if *err != nil {
		attrs = append(attrs, slog.String("code", status.Code(*err).String()), slog.String("error", status.Convert(*err).Message()))
		switch status.Code(*err) {
		case codes.NotFound, codes.AlreadyExists, codes.Canceled, codes.Unimplemented: // what clients expect
		default:
			level, text = slog.LevelWarn, "request failed"
		}
	}
	r.log.LogAttrs(context.Background(), level, text, attrs...)
}

// subject returns the key or name in a request. The requests of the snapshots service
// have the fields that these interfaces name.
func subject(req any) []slog.Attr {
	var attrs []slog.Attr
	add := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	if r, ok := req.(interface{ GetName() string }); ok {
		add("name", r.GetName())
	}
	if r, ok := req.(interface{ GetKey() string }); ok {
		add("key", r.GetKey())
	}
	if r, ok := req.(interface{ GetParent() string }); ok {
		add("parent", r.GetParent())
	}
	if r, ok := req.(*diffapi.ApplyRequest); ok && r.GetDiff() != nil {
		add("digest", r.GetDiff().GetDigest())
		attrs = append(attrs, slog.Int64("size", r.GetDiff().GetSize()))
	}
	return attrs
}
