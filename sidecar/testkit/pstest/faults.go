package main

import (
	"context"
	"strings"
	"sync"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A call that is made to fail.
type fault struct {
	// The RPC, such as Acknowledge.
	Method string
	// The code of the answer, such as PERMISSION_DENIED.
	Code codes.Code
	// Its message.
	Message string
	// How often; below zero is until the faults are cleared.
	Times int
	// For an exactly-once subscription: what the answer's ErrorInfo says of each ack id, such as
	// PERMANENT_FAILURE_INVALID_ACK_ID.
	Reason string
}

// The faults that are set, and the streams that can be cut.
type faults struct {
	mu      sync.Mutex
	set     []*fault
	streams map[*cut]struct{}
}

type cut struct{ now chan struct{} }

func (f *faults) add(added *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set = append(f.set, added)
}

// Clears all faults.
func (f *faults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set = nil
}

// Ends every stream that is open, as a server that restarts does.
func (f *faults) cutStreams() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for stream := range f.streams {
		close(stream.now)
	}
	f.streams = nil
}

// The error that this call is to fail with, if any.
func (f *faults) of(fullMethod string, ids []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.set {
		if fault.Times == 0 || !strings.HasSuffix(fullMethod, "/"+fault.Method) {
			continue
		}
		if fault.Times > 0 {
			fault.Times--
		}
		return refusal(fault.Code, fault.Message, fault.Reason, ids)
	}
	return nil
}

// The answer as google.pubsub.v1 documents it for exactly-once subscriptions: FAILED_PRECONDITION or another code, with
// an ErrorInfo whose metadata maps each failed ack id to its reason.
func refusal(code codes.Code, message, reason string, ids []string) error {
	answer := status.New(code, message)
	if reason == "" {
		return answer.Err()
	}
	info := &errdetails.ErrorInfo{
		Reason: "EXACTLY_ONCE_ACKID_FAILURE", Domain: "pubsub.googleapis.com", Metadata: map[string]string{},
	}
	for _, id := range ids {
		info.Metadata[id] = reason
	}
	detailed, err := answer.WithDetails(info)
	check(err)
	return detailed.Err()
}

func (f *faults) unary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler,
) (any, error) {
	var ids []string
	switch request := request.(type) {
	case *pb.AcknowledgeRequest:
		ids = request.AckIds
	case *pb.ModifyAckDeadlineRequest:
		ids = request.AckIds
		if request.AckDeadlineSeconds == 0 { // a nack has a name of its own here
			if err := f.of(info.FullMethod+"/Nack", ids); err != nil {
				return nil, err
			}
		}
	}
	if err := f.of(info.FullMethod, ids); err != nil {
		return nil, err
	}
	return next(ctx, request)
}

func (f *faults) stream(
	service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler,
) error {
	if err := f.of(info.FullMethod, nil); err != nil {
		return err
	}
	mine := &cut{make(chan struct{})}
	f.mu.Lock()
	if f.streams == nil {
		f.streams = map[*cut]struct{}{}
	}
	f.streams[mine] = struct{}{}
	f.mu.Unlock()
	ended := make(chan error, 1)
	go func() { ended <- next(service, stream) }()
	select {
	case err := <-ended:
		f.mu.Lock()
		delete(f.streams, mine)
		f.mu.Unlock()
		return err
	case <-mine.now:
		return status.Error(codes.Unavailable, "the stream was cut")
	}
}
