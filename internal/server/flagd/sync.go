// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	syncv1 "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/sync/v1"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

const (
	// writeTimeout is how long a part of a message may take: a client that does not read must not hold a stream.
	writeTimeout = 10 * time.Second
	// partSize is how much is written in that time, in bytes.
	partSize = 256 << 10
	// heartbeat is how often a stream shows that it is alive, and asks whether its token is still valid.
	heartbeat = 15 * time.Second
)

// syncService is flagd.sync.v1.FlagSyncService: it gives whole flagd files. Its context is always empty: attributes
// that only some clients have would make their answers differ.
type syncService struct{ *handler }

// FetchAllFlags returns the flagd file that is served now.
func (s *syncService) FetchAllFlags(
	ctx context.Context,
	request *connect.Request[syncv1.FetchAllFlagsRequest],
) (*connect.Response[syncv1.FetchAllFlagsResponse], error) {
	from, err := s.open(ctx, request.Msg.GetSelector()) //nolint:staticcheck // Older clients send it.
	if err != nil {
		return nil, refuse(ctx, err)
	}
	_, file, err := from.environment.FlagdFile(from.kind)
	if err != nil {
		return nil, refuse(ctx, err)
	}
	x := exchangeOf(ctx)
	release, err := s.server.Hold(x.request, 2*len(file)) // The message, and its encoded form.
	if err != nil {
		return nil, refuse(ctx, err)
	}
	x.atEnd = append(x.atEnd, release)
	return connect.NewResponse(&syncv1.FetchAllFlagsResponse{FlagConfiguration: string(file)}), nil
}

// GetMetadata returns the context that in-process evaluations share, which is empty.
func (s *syncService) GetMetadata(
	ctx context.Context,
	_ *connect.Request[syncv1.GetMetadataRequest], //nolint:staticcheck // Older clients ask for it.
) (*connect.Response[syncv1.GetMetadataResponse], error) { //nolint:staticcheck // Older clients ask for it.
	if _, err := s.open(ctx, ""); err != nil {
		return nil, refuse(ctx, err)
	}
	return connect.NewResponse(
		&syncv1.GetMetadataResponse{Metadata: &structpb.Struct{}}, //nolint:staticcheck // Older clients ask for it.
	), nil
}

// SyncFlags sends the flagd file that is served, and each that takes its place. A client that reads slowly gets the
// newest, and one that does not read is cut off. It ends when the key is revoked, the environment is deleted, or the
// server stops.
func (s *syncService) SyncFlags(
	ctx context.Context,
	request *connect.Request[syncv1.SyncFlagsRequest],
	stream *connect.ServerStream[syncv1.SyncFlagsResponse],
) error {
	from, err := s.open(ctx, request.Msg.GetSelector()) //nolint:staticcheck // Older clients send it.
	if err != nil {
		return refuse(ctx, err)
	}
	release, err := server.TakeStream(exchangeOf(ctx).request, from.environment, from.kind)
	if err != nil {
		return refuse(ctx, err)
	}
	defer release()
	x := exchangeOf(ctx)
	x.setDeadline(s.clock.Now().Add(writeTimeout))
	err = stream.Send(nil) // The headers.
	x.setDeadline(time.Time{})
	if err != nil {
		return err
	}
	sent := ""
	return s.follow(ctx, from, following{changed: func() (time.Time, error) {
		revision, file, err := from.environment.FlagdFile(from.kind)
		if errors.Is(err, store.ErrUnpublished) {
			return time.Time{}, nil // It comes.
		}
		if err != nil {
			return time.Time{}, refuse(ctx, err)
		}
		if seen := revision.Seen(from.kind); seen != sent {
			sent = seen
			return time.Time{}, s.send(x, stream, file)
		}
		return time.Time{}, nil
	}})
}

// following is what a stream does.
type following struct {
	// changed is called at once, at each change of what is served, and at the instant that it returned last, if any.
	changed func() (until time.Time, err error)
	// beat is called now and then, so that nobody takes the stream for dead. It may be nil.
	beat func() error
}

// follow does what a stream does until it fails, the stream is not allowed any more, or the context ends.
func (h *handler) follow(ctx context.Context, from *origin, does following) error {
	ticker := h.clock.NewTicker(heartbeat)
	defer ticker.Stop()
	ticked := false
	for {
		next := from.environment.Changed()
		if err := h.stillOpen(ctx, from, ticked); err != nil {
			return refuse(ctx, err)
		}
		until, err := does.changed()
		if err != nil {
			return err
		}
		if ticked && does.beat != nil {
			if err := does.beat(); err != nil {
				return err
			}
		}
		var instant <-chan time.Time
		if !until.IsZero() {
			instant = h.clock.After(until.Sub(h.clock.Now()))
		}
		ticked = false
		select {
		case <-next:
		case <-instant:
		case <-ticker.C():
			ticked = true
		case <-ctx.Done():
			return errStopping
		}
	}
}

// errStopping ends the streams of a server that stops. It is an error because clients in JavaScript come back after
// errors alone.
var errStopping = connect.NewError(connect.CodeUnavailable, errors.New("the server stops; connect again"))

// send sends a flagd file. In the binary form its bytes are those that all streams share.
func (s *syncService) send(
	x *exchange,
	stream *connect.ServerStream[syncv1.SyncFlagsResponse],
	file []byte,
) error {
	if isBinary(x.request.Header.Get("Content-Type")) {
		return s.sendBinary(x, file)
	}
	release, err := s.server.Hold(x.request, 3*len(file)) // The message, and its encoded form, which is longer.
	if err != nil {
		return refuse(x.request.Context(), err)
	}
	defer release()
	x.setDeadline(s.clock.Now().Add(writeTimeout))
	defer x.setDeadline(time.Time{})
	return stream.Send(
		&syncv1.SyncFlagsResponse{FlagConfiguration: string(file), SyncContext: &structpb.Struct{}},
	)
}

// The fields of a SyncFlagsResponse.
const (
	fieldFile    protowire.Number = 1
	fieldContext protowire.Number = 2
)

// sendBinary writes a SyncFlagsResponse in the envelope that the three protocols share: a byte of marks, of which none
// is set, and the size (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
func (s *syncService) sendBinary(x *exchange, file []byte) error {
	before := protowire.AppendVarint(protowire.AppendTag(nil, fieldFile, protowire.BytesType), uint64(len(file)))
	after := protowire.AppendVarint(protowire.AppendTag(nil, fieldContext, protowire.BytesType), 0)
	envelope := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(before)+len(file)+len(after)))
	x.setDeadline(s.clock.Now().Add(writeTimeout))
	if _, err := x.Write(append(envelope, before...)); err != nil {
		return err
	}
	for len(file) > 0 {
		part := file[:min(partSize, len(file))]
		x.setDeadline(s.clock.Now().Add(writeTimeout))
		if _, err := x.Write(part); err != nil {
			return err
		}
		file = file[len(part):]
	}
	if _, err := x.Write(after); err != nil {
		return err
	}
	err := http.NewResponseController(x).Flush()
	x.setDeadline(time.Time{})
	return err
}

// setDeadline is until when a write may take. One that passes ends the stream, also where nothing is written, so that it
// is taken back after each write. A connection that has no deadlines needs none.
func (x *exchange) setDeadline(until time.Time) {
	_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(until)
}
