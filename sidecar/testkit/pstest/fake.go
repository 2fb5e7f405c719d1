package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A small Pub/Sub of our own, for what pstest lacks. Its answers follow google/pubsub/v1/pubsub.proto and Google's
// documentation of ordering, exactly-once delivery and dead-letter topics:
//
//   - all messages of an ordering key may be outstanding at once; after a nack or an expired deadline of one of them,
//     it and every later message of its key are delivered again, acknowledged ones too;
//   - a stream has no more outstanding than max_outstanding_messages and max_outstanding_bytes;
//   - an exactly-once subscription refuses what is stale, by an ErrorInfo for each ack id;
//   - after max_delivery_attempts a message goes to the dead-letter topic, with its CloudPubSubDeadLetterSource attributes.
type fake struct {
	pb.UnimplementedPublisherServer
	pb.UnimplementedSubscriberServer
	mu            sync.Mutex
	topics        map[string][]*pb.PubsubMessage
	subscriptions map[string]*queue
	published     int
	changed       chan struct{}
}

type queue struct {
	proto *pb.Subscription
	items []*item
	// The places of those that are outstanding, by ack id.
	outstanding map[string]int
	// Everything before this place is settled.
	first int
}

type item struct {
	message      *pb.PubsubMessage
	acked        bool
	ackID        string // empty unless it is outstanding
	owner        *pulling
	deadline     time.Time
	deliveries   int
	acks         int
	deadlines    []int32
	isDeadLetter bool
}

// One open stream.
type pulling struct {
	outstanding, bytes       int64
	outstandingMax, bytesMax int64
	deadline                 time.Duration
}

func newFake() *fake {
	return &fake{
		topics: map[string][]*pb.PubsubMessage{}, subscriptions: map[string]*queue{}, changed: make(chan struct{}),
	}
}

// Wakes every stream. The lock is held.
func (f *fake) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fake) CreateTopic(_ context.Context, topic *pb.Topic) (*pb.Topic, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.topics[topic.Name]; there {
		return nil, status.Error(codes.AlreadyExists, topic.Name)
	}
	f.topics[topic.Name] = nil
	return topic, nil
}

func (f *fake) CreateSubscription(_ context.Context, wanted *pb.Subscription) (*pb.Subscription, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.topics[wanted.Topic]; !there {
		return nil, status.Errorf(codes.NotFound, "topic %s", wanted.Topic)
	}
	f.subscriptions[wanted.Name] = &queue{proto: wanted, outstanding: map[string]int{}}
	return wanted, nil
}

func (f *fake) GetSubscription(_ context.Context, wanted *pb.GetSubscriptionRequest) (*pb.Subscription, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	queue, err := f.queue(wanted.Subscription)
	if err != nil {
		return nil, err
	}
	return queue.proto, nil
}

func (f *fake) queue(name string) (*queue, error) {
	if found := f.subscriptions[name]; found != nil {
		return found, nil
	}
	return nil, status.Errorf(codes.NotFound, "subscription %s", name)
}

func (f *fake) Publish(_ context.Context, request *pb.PublishRequest) (*pb.PublishResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.topics[request.Topic]; !there {
		return nil, status.Errorf(codes.NotFound, "topic %s", request.Topic)
	}
	answer := &pb.PublishResponse{}
	for _, message := range request.Messages {
		answer.MessageIds = append(answer.MessageIds, f.publish(request.Topic, message))
	}
	f.wake()
	return answer, nil
}

func (f *fake) publish(topic string, message *pb.PubsubMessage) string {
	f.published++
	message.MessageId = strconv.Itoa(f.published)
	message.PublishTime = timestamppb.Now()
	f.topics[topic] = append(f.topics[topic], message)
	for _, queue := range f.subscriptions {
		if queue.proto.Topic == topic {
			queue.items = append(queue.items, &item{message: message})
		}
	}
	return message.MessageId
}

func (f *fake) StreamingPull(stream pb.Subscriber_StreamingPullServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	mine := &pulling{
		outstandingMax: first.MaxOutstandingMessages, bytesMax: first.MaxOutstandingBytes,
		deadline: time.Duration(first.StreamAckDeadlineSeconds) * time.Second,
	}
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := stream.Recv(); err != nil { // keep-alives only
				ended <- err
				return
			}
		}
	}()
	for {
		f.mu.Lock()
		queue, err := f.queue(first.Subscription)
		if err != nil {
			f.mu.Unlock()
			return err
		}
		f.expire(queue)
		answer, changed := f.deliver(queue, mine), f.changed
		f.mu.Unlock()
		if len(answer.ReceivedMessages) > 0 {
			if err := stream.Send(answer); err != nil {
				return err
			}
		}
		select {
		case <-ended:
			return nil
		case <-changed:
		case <-time.After(20 * time.Millisecond): // a deadline may have passed
		}
	}
}

// Everything that this stream may have now.
func (f *fake) deliver(queue *queue, to *pulling) *pb.StreamingPullResponse {
	ordered := queue.proto.EnableMessageOrdering
	answer := &pb.StreamingPullResponse{
		SubscriptionProperties: &pb.StreamingPullResponse_SubscriptionProperties{
			ExactlyOnceDeliveryEnabled: queue.proto.EnableExactlyOnceDelivery, MessageOrderingEnabled: ordered,
		},
	}
	blocked := map[string]bool{}
	for queue.first < len(queue.items) && queue.items[queue.first].isSettled() {
		queue.first++
	}
	for at := queue.first; at < len(queue.items); at++ {
		item := queue.items[at]
		key := item.message.OrderingKey
		if item.isSettled() {
			continue
		}
		if item.owner != nil {
			blocked[key] = blocked[key] || ordered && key != "" && item.owner != to
			continue
		}
		size := int64(proto.Size(item.message))
		full := to.outstandingMax > 0 && to.outstanding >= to.outstandingMax ||
			to.bytesMax > 0 && to.outstanding > 0 && to.bytes+size > to.bytesMax
		if full {
			break
		}
		if blocked[key] {
			continue
		}
		if policy := queue.proto.DeadLetterPolicy; policy != nil && item.deliveries >= int(policy.MaxDeliveryAttempts) {
			f.bury(queue, item)
			continue
		}
		item.deliveries++
		item.owner, item.deadline = to, time.Now().Add(to.deadline)
		item.ackID = fmt.Sprintf("%s:%d", item.message.MessageId, item.deliveries)
		queue.outstanding[item.ackID] = at
		to.outstanding, to.bytes = to.outstanding+1, to.bytes+size
		received := &pb.ReceivedMessage{AckId: item.ackID, Message: item.message}
		if queue.proto.DeadLetterPolicy != nil {
			received.DeliveryAttempt = int32(item.deliveries)
		}
		answer.ReceivedMessages = append(answer.ReceivedMessages, received)
	}
	return answer
}

func (f *fake) bury(queue *queue, item *item) {
	item.isDeadLetter = true
	buried := proto.Clone(item.message).(*pb.PubsubMessage)
	if buried.Attributes == nil {
		buried.Attributes = map[string]string{}
	}
	// projects/P/subscriptions/S
	parts := strings.Split(queue.proto.Name, "/")
	buried.Attributes["CloudPubSubDeadLetterSourceDeliveryCount"] = strconv.Itoa(item.deliveries)
	buried.Attributes["CloudPubSubDeadLetterSourceSubscription"] = parts[3]
	buried.Attributes["CloudPubSubDeadLetterSourceSubscriptionProject"] = parts[1]
	buried.Attributes["CloudPubSubDeadLetterSourceTopicPublishTime"] = item.message.PublishTime.AsTime().Format(time.RFC3339Nano)
	f.publish(queue.proto.DeadLetterPolicy.DeadLetterTopic, buried)
}

// What nobody extended is delivered again.
func (f *fake) expire(queue *queue) {
	now := time.Now()
	for _, at := range queue.outstanding {
		if item := queue.items[at]; item.owner != nil && now.After(item.deadline) {
			f.release(queue, at)
		}
	}
}

// The message at this place, and every later one of its key, is to be delivered again.
func (f *fake) release(queue *queue, at int) {
	key := queue.items[at].message.OrderingKey
	for later, item := range queue.items[at:] {
		isTail := queue.proto.EnableMessageOrdering && key != "" && item.message.OrderingKey == key
		if later > 0 && !isTail {
			continue
		}
		f.letGo(queue, item)
		item.acked = false
	}
	queue.first = min(queue.first, at)
}

func (i *item) isSettled() bool { return i.acked || i.isDeadLetter }

func (f *fake) letGo(queue *queue, item *item) {
	delete(queue.outstanding, item.ackID)
	if item.owner != nil {
		item.owner.outstanding--
		item.owner.bytes -= int64(proto.Size(item.message))
	}
	item.owner, item.ackID = nil, ""
}

func (f *fake) Acknowledge(_ context.Context, request *pb.AcknowledgeRequest) (*emptypb.Empty, error) {
	return f.each(request.Subscription, request.AckIds, func(queue *queue, at int) {
		item := queue.items[at]
		f.letGo(queue, item)
		item.acked, item.acks = true, item.acks+1
	})
}

func (f *fake) ModifyAckDeadline(_ context.Context, request *pb.ModifyAckDeadlineRequest) (*emptypb.Empty, error) {
	return f.each(request.Subscription, request.AckIds, func(queue *queue, at int) {
		item := queue.items[at]
		item.deadlines = append(item.deadlines, request.AckDeadlineSeconds)
		if request.AckDeadlineSeconds == 0 {
			f.release(queue, at)
		} else {
			item.deadline = time.Now().Add(time.Duration(request.AckDeadlineSeconds) * time.Second)
		}
	})
}

// Does it to each that is outstanding by its ack id. What is stale is refused where delivery is exactly once, and
// ignored elsewhere.
func (f *fake) each(subscription string, ids []string, do func(*queue, int)) (*emptypb.Empty, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	queue, err := f.queue(subscription)
	if err != nil {
		return nil, err
	}
	f.expire(queue)
	var stale []string
	for _, id := range ids {
		if at, found := queue.outstanding[id]; found {
			do(queue, at)
		} else {
			stale = append(stale, id)
		}
	}
	f.wake()
	if len(stale) > 0 && queue.proto.EnableExactlyOnceDelivery {
		return nil, refusal(codes.FailedPrecondition, "some ack ids are stale", "PERMANENT_FAILURE_INVALID_ACK_ID", stale)
	}
	return &emptypb.Empty{}, nil
}

// What became of the messages of a topic, or of all; of several subscriptions the sum.
func (f *fake) told(topic string) []told {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := []told{}
	for name, messages := range f.topics {
		if topic != "" && topic != name {
			continue
		}
		for _, message := range messages {
			one := told{
				ID: message.MessageId, Topic: name, Data: message.Data, Attributes: message.Attributes,
				OrderingKey: message.OrderingKey, Deadlines: []int32{},
			}
			for _, queue := range f.subscriptions {
				for _, item := range queue.items {
					if item.message == message {
						one.Deliveries += item.deliveries
						one.Acks += item.acks
						one.Deadlines = append(one.Deadlines, item.deadlines...)
					}
				}
			}
			all = append(all, one)
		}
	}
	return all
}
