//! The flags that describe a scenario's city, shared by the subcommands that make one.

use crate::scenario::City;
use jiff::{Timestamp, tz};

/// A city as its flags describe it; what is not given is as in [`City::default`].
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct CityArgs {
    /// Decides everything that is drawn
    #[arg(long, default_value_t = City::default().seed, value_name = "NUMBER")]
    pub seed: u64,
    /// How many intents are put
    #[arg(long, default_value_t = City::default().intents, value_name = "COUNT")]
    pub intents: usize,
    /// How many stores there are, 1 to 1000000
    #[arg(
        long,
        default_value_t = City::default().stores as u32,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        value_name = "COUNT"
    )]
    pub stores: u32,
    /// How many products there are, 1 to 10000
    #[arg(
        long,
        default_value_t = City::default().products as u32,
        value_parser = clap::value_parser!(u32).range(1..=10_000),
        value_name = "COUNT"
    )]
    pub products: u32,
    /// Over how many hours the intents are put, 1 to 8760
    #[arg(
        long,
        default_value_t = City::default().hours,
        value_parser = clap::value_parser!(u32).range(1..=8_760),
        value_name = "HOURS"
    )]
    pub hours: u32,
    /// When the city starts (RFC 3339, 2000 to 2098)
    #[arg(long, default_value_t = City::default().start, value_parser = start, value_name = "TIME")]
    pub start: Timestamp,
    /// The town's middle: latitude and longitude in degrees
    #[arg(
        long,
        default_value = "41.0369,28.985",
        value_parser = centre,
        allow_hyphen_values = true,
        value_name = "LAT,LNG"
    )]
    pub centre: (f64, f64),
    /// IANA time zone of its stores
    #[arg(
        long,
        default_value_t = City::default().timezone,
        value_parser = timezone,
        value_name = "ZONE"
    )]
    pub timezone: String,
    /// Leave out the bursts: many who want one product near one place within minutes
    #[arg(long)]
    pub no_burst: bool,
}

impl From<&CityArgs> for City {
    fn from(args: &CityArgs) -> Self {
        Self {
            seed: args.seed,
            intents: args.intents,
            stores: args.stores as usize,
            products: args.products as usize,
            hours: args.hours,
            start: args.start,
            centre: args.centre,
            timezone: args.timezone.clone(),
            burst: !args.no_burst,
            ..City::default()
        }
    }
}

fn start(text: &str) -> Result<Timestamp, String> {
    let start: Timestamp = text.parse().map_err(|_| "not an RFC 3339 time".to_string())?;
    let years = 946_684_800..4_039_372_800;
    if years.contains(&start.as_second()) {
        Ok(start)
    } else {
        Err("a city starts between 2000 and 2098".to_string())
    }
}

fn centre(text: &str) -> Result<(f64, f64), String> {
    let (lat, lng) = text.split_once(',').ok_or("latitude and longitude with a comma between")?;
    let degrees = |text: &str, limit: f64| match text.trim().parse::<f64>() {
        Ok(degrees) if degrees.abs() <= limit => Ok(degrees),
        _ => Err(format!("not degrees between -{limit} and {limit}: {text}")),
    };
    Ok((degrees(lat, 85.0)?, degrees(lng, 180.0)?))
}

fn timezone(text: &str) -> Result<String, String> {
    match tz::TimeZoneDatabase::bundled().get(text) {
        Ok(zone) if !zone.is_unknown() => Ok(text.to_string()),
        _ => Err("not an iana time zone, such as Europe/Istanbul".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        city: CityArgs,
    }

    fn city(flags: &[&str]) -> Result<City, clap::Error> {
        let all = std::iter::once("iceshop").chain(flags.iter().copied());
        Cli::try_parse_from(all).map(|cli| City::from(&cli.city))
    }

    #[test]
    fn no_flags_make_the_default_city() {
        Cli::command().debug_assert();
        assert_eq!(city(&[]).unwrap(), City::default());
    }

    #[test]
    fn flags_are_checked() {
        let sydney = city(&["--centre", "-33.87,151.2", "--no-burst", "--stores", "9"]).unwrap();
        assert_eq!((sydney.centre, sydney.burst, sydney.stores), ((-33.87, 151.2), false, 9));
        for bad in [
            ["--centre", "91,0"],
            ["--centre", "NaN,0"],
            ["--centre", "41"],
            ["--stores", "0"],
            ["--hours", "0"],
            ["--products", "-1"],
            ["--timezone", "Nowhere"],
            ["--start", "yesterday"],
            ["--start", "1999-12-31T00:00:00Z"],
        ] {
            assert!(city(&bad).is_err(), "{bad:?}");
        }
    }
}
