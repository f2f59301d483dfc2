//! Every number that decides how the overlay behaves, each with its reason.

use starling_proto::limits;
use starling_proto::time::Span;

/// What an overlay may be told to do otherwise. [`Config::default`] is what the main network runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Config {
    /// Lookups.
    pub lookup: LookupConfig,
    /// Records.
    pub records: RecordsConfig,
    /// The routing table.
    pub table: TableConfig,
    /// When things happen by themselves.
    pub upkeep: UpkeepConfig,
    /// What a peer may ask of us.
    pub service: ServiceConfig,
    /// What others are asked to do in our place.
    pub passing: PassingConfig,
}

/// How a lookup goes about its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupConfig {
    /// Requests under way at first. 3 is Kademlia's: fewer wait for each slow peer, more are wasted on peers that the
    /// next answer would have shown to be far.
    pub parallelism_min: usize,
    /// Requests under way at most, when peers are slow or fail, or when only known peers are left to ask.
    pub parallelism_max: usize,
    /// After this long without an answer another peer is asked beside. A round trip around the world and a handshake
    /// take less than a second.
    pub slow_after: Span,
    /// After this long a request has failed. QUIC repeats its first packet after 1 s; this leaves room for two.
    pub deadline: Span,
    /// Of the peers that we know ourselves, so many are asked by a lookup wider than a bucket, whoever else is named: those
    /// who collude name only one another, all of them closer, and one honest peer near the target undoes that.
    pub entries: usize,
    /// The same of a lookup of our own place, where those we know are the closest anyway. Whoever comes back asks those that
    /// it remembers: of 64 in a network of short stays a fifth is there, and most of these are those who stay.
    pub entries_at_home: usize,
    /// Peers that have connected last, of whom both ask so many besides. Contacts are the old ones that answer, and where most
    /// stay for minutes these are the few who mean to be.
    pub newest: usize,
    /// A lookup ends with what it has after this long.
    pub time_budget: Span,
    /// Requests of a lookup beyond three for each peer wanted. 120 in all for 20 peers kept 99 % against invented
    /// contacts; an honest network needs about 24.
    pub extra_requests: usize,
    /// Contacts of one peer that may turn out dead beyond as many as are alive, before its others are asked last.
    /// Three stale contacts are ordinary churn.
    pub dead_per_source: u16,
}

/// Where records go and how they are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordsConfig {
    /// Peers closest to a key that hold its records.
    pub replicas: usize,
    /// Width of the lookup before a store: the second holders are drawn from its outer ranks. Of these it asks only those
    /// that are drawn, for half of the requests.
    pub store_width: usize,
    /// Holders drawn at random from beyond the replicas; an attacker cannot know which.
    pub spread: usize,
    /// Width of a fetch at first.
    pub fetch_width: usize,
    /// Width of a fetch that found nothing at first.
    pub fetch_width_wide: usize,
    /// Holders of an index key that a query asks.
    pub query_width: usize,
    /// Contacts of ours outside of the region of a word whom a search asks besides, whoever else is named: identities made to
    /// be there name only one another, and a search that finds nothing is not widened.
    pub query_besides: usize,
    /// Records that one fetch or query gathers; more are dropped, the largest keys of the network have fewer.
    pub gathered: usize,
    /// Store requests of one operation under way.
    pub store_parallelism: usize,
    /// After this long a store, fetch or query request has failed: a record takes longer to send and to write.
    pub deadline: Span,
    /// Bytes of records handed on for repair, for each second. 4 KiB/s moves 1,000 records of an average size in
    /// half an hour and stays below a twentieth of a slow uplink.
    pub repair_bytes_per_s: u64,
}

/// The routing table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableConfig {
    /// Contacts in a bucket.
    pub bucket: usize,
    /// Answering contacts for which a full bucket had no room, kept in reserve.
    pub spares: usize,
    /// Failures in a row after which a contact is dropped. Two can be one lost burst.
    pub failures: u8,
}

/// When things happen by themselves. All are jittered by a quarter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpkeepConfig {
    /// A bucket in which nothing was looked up for this long is refreshed.
    pub refresh: Span,
    /// The peers around us are looked up again this often: records come and go by who is close.
    pub neighbourhood: Span,
    /// A contact that has not answered for this long is pinged, the one silent longest first.
    pub keep_alive: Span,
    /// The first pause before joining is tried again, doubled each time.
    pub join_retry: Span,
    /// The longest pause before joining is tried again.
    pub join_retry_max: Span,
    /// The pause after a join in which somebody answered, but nobody who serves: two peers that meet first become
    /// servers within a round trip or two.
    pub join_again: Span,
    /// A client asks to be dialled this long after it knows a server, then in doubled pauses.
    pub dial_back: Span,
    /// The longest pause of a client between two requests to be dialled.
    pub dial_back_max: Span,
    /// A server asks to be dialled this often, so that one that cannot be reached any more stops serving.
    pub dial_back_server: Span,
    /// One whom only acquaintances have dialled asks this often: whoever it knew first is let in no longer for that alone.
    pub dial_back_unproven: Span,
    /// Within this time of being accepted a dial must arrive.
    pub dial_back_within: Span,
    /// How often held records are looked through for expired ones and those that need repair.
    pub sweep: Span,
    /// Width of a bucket refresh. At 1,000 nodes widths of 4, 8 and 20 found the same for 149, 192 and 300 requests
    /// in each join.
    pub refresh_width: usize,
    /// Cached peers that a restart tries.
    pub cached_peers: usize,
}

/// How much of something is done for others in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// For all together.
    pub per_min: u32,
    /// For one address group, while less than half are spent; after that one.
    pub per_group: u32,
}

/// What a peer may ask of us, and how much of everything there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Cost units that one address group may use at once. 1,000 read a full mailbox at login.
    pub burst: u32,
    /// Cost units that come back each second.
    pub refill_per_s: u32,
    /// Address groups whose use is remembered.
    pub groups: usize,
    /// Peers dialled for others: a dial is ten times larger than the request for it. Of one group a third: in a network of
    /// two servers each passes on to the other what its clients ask.
    pub dial_backs: Rate,
    /// What is done in others' place: a store is some ninety requests and sends the record forty times. Thirty a minute of
    /// the longest are 410 KiB a second at most, of letters of a few texts 40.
    pub favours: Rate,
    /// How much of that is under way at once.
    pub favours_at_once: usize,
    /// Operations at work at once.
    pub operations: usize,
    /// Commands that wait for an operation to end.
    pub waiting: usize,
    /// Peers remembered for having served records that were not in order.
    pub liars: usize,
    /// How long they are.
    pub liar_memory: Span,
}

/// How others are asked to do something in our place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassingConfig {
    /// Go-betweens that one wish tries, each once, until one has done it. Of those that drop a share of `p`, one loses
    /// `p`, three lose its third power.
    pub tries: usize,
    /// Go-betweens that must have had holders show a record before it counts as placed. Those that collude vouch for one
    /// another: with 30 % of them 68 of 500 records were lost with one, 7 with two.
    pub checks: usize,
    /// Go-betweens that may refuse, because they have too much to do, before it counts as a failure.
    pub refusals: usize,
    /// Holders that a go-between asks to show a record.
    pub shown: usize,
    /// Fewer to choose among than this, and those closer to the place may be chosen as well: of few each is chosen often.
    pub choice: usize,
    /// After this long a go-between that was to place a record has failed: a lookup may take 20 s.
    pub store_deadline: Span,
    /// After this long one that was to find or to ask something has: somebody may be waiting.
    pub deadline: Span,
}

impl Default for PassingConfig {
    fn default() -> Self {
        Self {
            tries: 3,
            checks: 2,
            refusals: 8,
            shown: 8,
            choice: 8,
            store_deadline: Span::from_secs(25),
            deadline: Span::from_secs(12),
        }
    }
}

impl Default for LookupConfig {
    fn default() -> Self {
        Self {
            parallelism_min: 3,
            parallelism_max: 8,
            slow_after: Span::from_ms(1500),
            deadline: Span::from_ms(3500),
            entries: 12,
            entries_at_home: 24,
            newest: 6,
            time_budget: Span::from_secs(20),
            extra_requests: 60,
            dead_per_source: 3,
        }
    }
}

impl Default for RecordsConfig {
    fn default() -> Self {
        Self {
            replicas: limits::K,
            store_width: limits::WIDE,
            spread: limits::K,
            fetch_width: limits::K,
            fetch_width_wide: limits::WIDE,
            query_width: limits::K,
            query_besides: 4,
            gathered: 4096,
            store_parallelism: 20,
            deadline: Span::from_secs(8),
            repair_bytes_per_s: 4096,
        }
    }
}

impl Default for TableConfig {
    fn default() -> Self {
        Self { bucket: limits::K, spares: 4, failures: 3 }
    }
}

impl Default for UpkeepConfig {
    fn default() -> Self {
        Self {
            refresh: Span::from_hours(1),
            neighbourhood: Span::from_secs(15 * 60),
            keep_alive: Span::from_hours(1),
            join_retry: Span::from_secs(1),
            join_retry_max: Span::from_secs(60),
            join_again: Span::from_ms(250),
            dial_back: Span::from_secs(1),
            dial_back_max: Span::from_secs(600),
            dial_back_server: Span::from_hours(2),
            dial_back_unproven: Span::from_secs(360),
            dial_back_within: Span::from_secs(30),
            sweep: Span::from_secs(60),
            refresh_width: 4,
            cached_peers: 64,
        }
    }
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            burst: 1000,
            refill_per_s: 200,
            groups: 1024,
            dial_backs: Rate { per_min: 30, per_group: 10 },
            favours: Rate { per_min: 30, per_group: 10 },
            favours_at_once: 4,
            operations: 32,
            waiting: 4096,
            liars: 256,
            liar_memory: Span::from_hours(6),
        }
    }
}
