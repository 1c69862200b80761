//! The public network as a file: the format of Core Lightning's `gossmap-compress`, by its description. Reads it and nothing else.

use std::io::Read;

use anyhow::{Context, ensure};

const HEADER: &[u8; 19] = b"GOSSMAP_COMPRESSv1\0";
/// Nothing public is near that size; a number above it is a broken file.
const MOST_CHANNELS: u64 = 1 << 24;

/// All public channels, their ends and what each direction asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gossmap {
    pub channels: Vec<PublicChannel>,
    /// Numbers of nodes are below that.
    pub nodes: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicChannel {
    pub ends: [u32; 2],
    pub capacity_msat: u64,
    /// From the first end to the second, and back. `None`: disabled.
    pub directions: [Option<PublicPolicy>; 2],
}

/// What one direction of a public channel asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicPolicy {
    pub base_msat: u64,
    pub ppm: u64,
    pub cltv_delta: u64,
    pub htlc_min_msat: u64,
    pub htlc_max_msat: u64,
}

impl Gossmap {
    /// Reads the gzipped file.
    pub fn read(file: impl Read) -> anyhow::Result<Gossmap> {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).context("unpacking the graph")?;
        let numbers = bytes.strip_prefix(HEADER).context("not a compressed gossmap: its header is missing")?;
        let mut numbers = Numbers { bytes: numbers };
        let map = numbers.gossmap().context("reading the graph")?;
        ensure!(numbers.bytes.is_empty(), "{} bytes follow the graph", numbers.bytes.len());
        Ok(map)
    }
}

/// `BigSize` numbers in a row.
struct Numbers<'a> {
    bytes: &'a [u8],
}

impl Numbers<'_> {
    fn gossmap(&mut self) -> anyhow::Result<Gossmap> {
        let count = self.size()?;
        let first = self.list(count)?;
        let second = self.list(count)?;
        let disabled = self.disabled(count)?;
        let capacity = self.column(count)?;
        let [htlc_min, htlc_max, base, ppm, delta] = self.columns(2 * count)?;
        let nodes = first.iter().chain(&second).max().map_or(0, |last| last + 1);
        let policy = |place: usize| {
            let capacity_msat = capacity[place / 2].saturating_mul(1_000);
            (!disabled[place]).then(|| PublicPolicy {
                base_msat: base[place],
                ppm: ppm[place],
                cltv_delta: delta[place],
                htlc_min_msat: htlc_min[place],
                htlc_max_msat: match htlc_max[place] {
                    0 => capacity_msat,
                    1 => capacity_msat / 100 * 99,
                    limit => limit,
                },
            })
        };
        let channel = |i: usize| -> anyhow::Result<PublicChannel> {
            Ok(PublicChannel {
                ends: [u32::try_from(first[i])?, u32::try_from(second[i])?],
                capacity_msat: capacity[i].saturating_mul(1_000),
                directions: [policy(2 * i), policy(2 * i + 1)],
            })
        };
        let channels = (0..count).map(channel).collect::<Result<_, _>>()?;
        Ok(Gossmap { channels, nodes: u32::try_from(nodes)? })
    }

    /// The directions that are switched off, as one flag each; the list ends with a number that is none.
    fn disabled(&mut self, channels: usize) -> anyhow::Result<Vec<bool>> {
        let mut disabled = vec![false; 2 * channels];
        loop {
            let place = usize::try_from(self.next()?)?;
            match disabled.get_mut(place) {
                Some(flag) => *flag = true,
                None => return Ok(disabled),
            }
        }
    }

    fn columns<const N: usize>(&mut self, count: usize) -> anyhow::Result<[Vec<u64>; N]> {
        let mut columns = std::array::from_fn(|_| Vec::new());
        for column in &mut columns {
            *column = self.column(count)?;
        }
        Ok(columns)
    }

    /// The values that occur, then which of them each place has.
    fn column(&mut self, count: usize) -> anyhow::Result<Vec<u64>> {
        let values = self.size()?;
        let values = self.list(values)?;
        let value = |place: u64| values.get(usize::try_from(place).ok()?).copied();
        (0..count).map(|_| self.next().and_then(|place| value(place).context("a value that is not listed"))).collect()
    }

    fn size(&mut self) -> anyhow::Result<usize> {
        let size = self.next()?;
        ensure!(size <= MOST_CHANNELS, "a list of {size}");
        Ok(usize::try_from(size)?)
    }

    fn list(&mut self, count: usize) -> anyhow::Result<Vec<u64>> {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> anyhow::Result<u64> {
        match self.take(1)? {
            253 => self.take(2),
            254 => self.take(4),
            255 => self.take(8),
            small => Ok(small),
        }
    }

    fn take(&mut self, count: usize) -> anyhow::Result<u64> {
        let (number, rest) = self.bytes.split_at_checked(count).context("the file ends early")?;
        self.bytes = rest;
        Ok(number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }
}

/// For tests: a small graph as the file that would describe it.
#[cfg(test)]
pub(super) fn packed(map: &Gossmap) -> Vec<u8> {
    use std::io::Write as _;

    fn big_size(number: u64, to: &mut Vec<u8>) {
        let bytes = number.to_be_bytes();
        match number {
            0..=252 => to.push(bytes[7]),
            253..=0xffff => to.extend([&[253], &bytes[6..]].concat()),
            0x1_0000..=0xffff_ffff => to.extend([&[254], &bytes[4..]].concat()),
            _ => to.extend([&[255][..], &bytes].concat()),
        }
    }
    let mut numbers = vec![map.channels.len() as u64];
    let directions: Vec<_> = map.channels.iter().flat_map(|c| c.directions).collect();
    numbers.extend(map.channels.iter().map(|c| u64::from(c.ends[0])));
    numbers.extend(map.channels.iter().map(|c| u64::from(c.ends[1])));
    numbers.extend((0..).zip(&directions).filter(|(_, d)| d.is_none()).map(|(place, _)| place));
    numbers.push(directions.len() as u64);
    let column = |values: Vec<u64>, numbers: &mut Vec<u64>| {
        numbers.push(values.len() as u64);
        numbers.extend(&values);
        numbers.extend(0..values.len() as u64);
    };
    column(map.channels.iter().map(|c| c.capacity_msat / 1_000).collect(), &mut numbers);
    let of = |value: fn(&PublicPolicy) -> u64| directions.iter().map(|d| d.as_ref().map_or(0, value)).collect();
    for value in [
        |p: &PublicPolicy| p.htlc_min_msat,
        |p: &PublicPolicy| p.htlc_max_msat,
        |p: &PublicPolicy| p.base_msat,
        |p: &PublicPolicy| p.ppm,
        |p: &PublicPolicy| p.cltv_delta,
    ] {
        column(of(value), &mut numbers);
    }
    let mut bytes = HEADER.to_vec();
    numbers.into_iter().for_each(|number| big_size(number, &mut bytes));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).unwrap();
    gzip.finish().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_channels() -> Gossmap {
        let policy = |ppm, htlc_max_msat| {
            Some(PublicPolicy { base_msat: 1_000, ppm, cltv_delta: 40, htlc_min_msat: 300, htlc_max_msat })
        };
        let channels = vec![
            PublicChannel { ends: [0, 1], capacity_msat: 5_000_000_000, directions: [policy(70_000, 0), None] },
            PublicChannel {
                ends: [0, 300],
                capacity_msat: 6_000_000_000_000,
                directions: [policy(0, 1), policy(9, 77)],
            },
        ];
        Gossmap { channels, nodes: 301 }
    }

    #[test]
    fn what_was_packed_is_read() {
        let mut map = two_channels();
        let file = packed(&map);
        let limit =
            |map: &mut Gossmap, i: usize, to| map.channels[i].directions[0].as_mut().unwrap().htlc_max_msat = to;
        limit(&mut map, 0, 5_000_000_000);
        limit(&mut map, 1, 5_940_000_000_000);
        assert_eq!(Gossmap::read(&file[..]).unwrap(), map);
    }

    #[test]
    fn broken_files_are_refused() {
        let repacked = |change: fn(&mut Vec<u8>)| {
            let mut bytes = Vec::new();
            flate2::read::GzDecoder::new(&packed(&two_channels())[..]).read_to_end(&mut bytes).unwrap();
            change(&mut bytes);
            let mut gzip = flate2::read::GzEncoder::new(&bytes[..], flate2::Compression::fast());
            let mut file = Vec::new();
            gzip.read_to_end(&mut file).unwrap();
            format!("{:#}", Gossmap::read(&file[..]).unwrap_err())
        };
        for (error, wanted) in [
            (repacked(|bytes| bytes[0] = b'X'), "its header is missing"),
            (repacked(|bytes| bytes.truncate(bytes.len() - 1)), "the file ends early"),
            (repacked(|bytes| bytes.push(0)), "1 bytes follow the graph"),
            (repacked(|bytes| *bytes.last_mut().unwrap() = 200), "a value that is not listed"),
            (repacked(|bytes| bytes.splice(19..20, [255; 9]).for_each(drop)), "a list of"),
            (format!("{:#}", Gossmap::read(&b"plain"[..]).unwrap_err()), "unpacking"),
        ] {
            assert!(error.contains(wanted), "{error}");
        }
    }
}
