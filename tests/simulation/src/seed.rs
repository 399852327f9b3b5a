//! A plan from a seed.
//!
//! Each kind of act and of fault takes part in half of the plans, or in one of eight of those in which little happens. Those that
//! do are rare, come in bursts, or make a storm. So there are plans in which only one thing is wrong, and it can last.

mod acts;
mod faults;

use zenlayer_port_operator::api::DeletionPolicy;
use zenlayer_simulator::PortStatus;

use crate::chance::Dice;
use crate::plan::{Act, Config, Name, Plan, Port, Timed, Writer};

pub(crate) use self::faults::{BETWEEN_LIES_MS, LIE_MS};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// In how many plans of a hundred a kind of act or of fault takes part: as a rule, and where little happens.
const USUAL: u64 = 50;
const SELDOM: u64 = 12;

/// How much there is in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 45 minutes.
    Short,
    /// 26 hours.
    Long,
    /// Hundreds of objects.
    Crowd,
}

impl Size {
    pub fn of(seed: u64) -> Self {
        match seed % 20 {
            3 => Self::Long,
            13 => Self::Crowd,
            _ => Self::Short,
        }
    }

    fn busy_ms(self) -> u64 {
        match self {
            Self::Short => 45 * MINUTE,
            Self::Long => 26 * HOUR,
            Self::Crowd => 30 * MINUTE,
        }
    }
}

impl Plan {
    pub fn from_seed(seed: u64) -> Self {
        Self::of_size(seed, Size::of(seed))
    }

    pub fn of_size(seed: u64, size: Size) -> Self {
        let mut plan = Self {
            busy_ms: size.busy_ms(),
            quiet_ms: 50 * MINUTE,
            settled_ms: 2 * MINUTE,
            ..Self::new(seed, config(seed))
        };
        let mut objects = Cast::of(seed, size, &mut plan);
        objects.act(&mut plan);
        faults::faults(seed, &mut plan);
        if Dice::new(seed, "writers").percent(30) {
            let mut dice = Dice::new(seed, "writer");
            let object = dice.pick(&objects.names).clone();
            // Whoever writes faster than the API server answers leaves nobody else a turn.
            let every_ms = (dice.between(1, 5) * SECOND).max(4 * plan.config.latency_ms);
            plan.writers.push(Writer { object, every_ms });
        }
        plan.acts.sort_by_key(|timed| timed.at_ms);
        plan
    }
}

fn config(seed: u64) -> Config {
    let mut dice = Dice::new(seed, "config");
    let poll_s = *dice.pick(&[5, 10, 10, 30]);
    Config {
        replicas: *dice.pick(&[1, 2, 2]),
        grace_s: *dice.pick(&[0, 10, 10, 60]),
        poll_s,
        resync_s: *dice.pick(&[60, 300, 300]),
        mass_deletion_threshold: *dice.pick(&[0, 3, 20, 20]),
        require_approval: dice.percent(10),
        keep_copies: dice.percent(80),
        requests_per_second: *dice.pick(&[0.5, 2.0, 10.0, 10.0]),
        watch_namespaces: Vec::new(),
        latency_ms: *dice.pick(&[5, 40, 400, 1500]),
        api_clock_ahead_s: *dice.pick(&[0, 0, 0, 4 * 3600, -4 * 3600]),
        most_copies: dice.percent(12).then_some(0),
        clock_ahead_s: vec![*dice.pick(&[0, 0, 45, -90]), *dice.pick(&[0, 0, -30, 120])],
        terminate_s: *dice.pick(&[2, 5, 40]),
        destroy_s: *dice.pick(&[10, 60, 60, 600]),
        destroyed_listed_s: *dice.pick(&[0, 30, 600]),
    }
}

/// Who is there.
struct Cast {
    seed: u64,
    namespaces: Vec<String>,
    names: Vec<Name>,
    ports: Vec<String>,
    /// Most objects of a tenant name one port.
    is_shared: bool,
    /// The names of ports would steer a terminal.
    is_loud: bool,
    /// Most deletions wait for a person.
    is_reluctant: bool,
}

impl Cast {
    fn of(seed: u64, size: Size, plan: &mut Plan) -> Self {
        let mut dice = Dice::new(seed, "objects");
        let (tenants, most) = match size {
            Size::Short | Size::Long => (dice.between(1, 3), *dice.pick(&[6, 6, 12])),
            Size::Crowd => (dice.between(4, 12), 40),
        };
        let mut traits = Dice::new(seed, "traits");
        let mut cast = Self {
            seed,
            namespaces: Vec::new(),
            names: Vec::new(),
            ports: Vec::new(),
            is_shared: traits.percent(8),
            is_loud: traits.percent(25),
            is_reluctant: traits.percent(8),
        };
        if cast.is_reluctant {
            plan.config.mass_deletion_threshold = 3;
        }
        for tenant in 0..tenants {
            let namespace = format!("team-{}", char::from(b'a' + u8::try_from(tenant).unwrap_or_default()));
            for number in 0..dice.between(1, most) {
                cast.object(&mut dice, &namespace, number, plan);
            }
            cast.namespaces.push(namespace);
        }
        cast
    }

    /// A port of its own for an object that is made later.
    fn port(namespace: &str, plan: &mut Plan, dice: &mut Dice) -> String {
        let id = format!("port-{namespace}-late-{}", plan.ports.len());
        let status = dice.pick(&[PortStatus::Running, PortStatus::Recycled]).clone();
        let account = namespace.to_owned();
        plan.ports.push(Port { id: id.clone(), account, status, prepaid: false, in_use: false, loud: false });
        id
    }

    fn object(&mut self, dice: &mut Dice, namespace: &str, number: u64, plan: &mut Plan) {
        let twin = self
            .ports
            .last()
            .filter(|port| port.contains(namespace) && dice.percent(if self.is_shared { 70 } else { 7 }));
        let twin = twin.cloned();
        let is_new = twin.is_none();
        let port = twin.unwrap_or_else(|| format!("port-{namespace}-{number}"));
        let statuses = [
            PortStatus::Running,
            if self.is_reluctant { PortStatus::Running } else { PortStatus::Recycled },
            PortStatus::Recycled,
        ];
        let status = dice.pick(&statuses).clone();
        let (prepaid, in_use, exists) = (dice.percent(5), dice.percent(8), !dice.percent(5));
        if is_new && exists {
            let account = namespace.to_owned();
            let loud = self.is_loud;
            plan.ports.push(Port { id: port.clone(), account, status, prepaid, in_use, loud });
        }
        let policy =
            if self.is_reluctant { DeletionPolicy::Destroy } else { *dice.pick(&DeletionPolicy::ALL) };
        let object = Name::new(namespace, format!("edge-{number}"));
        let at_ms = if dice.percent(70) { 0 } else { dice.between(0, plan.busy_ms / 4) };
        plan.acts
            .push(Timed { at_ms, act: Act::Create { object: object.clone(), port: port.clone(), policy } });
        self.names.push(object);
        self.ports.push(port);
    }
}
