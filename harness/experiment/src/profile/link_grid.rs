//! The links of a profile's file, collected until every direction has one.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_spanned::Spanned;

use super::link_fields::{LinkDefaults, LinkFields};
use super::parse::{MAX_NAME_CHARACTERS, Reader, listed};
use super::{Link, Problem, ProfileError, Region};

/// The links found so far, row-major, each with the byte offset where it was stated.
pub(super) struct LinkGrid<'a> {
    reader: &'a Reader<'a>,
    names: Vec<&'a str>,
    index_of: BTreeMap<&'a str, usize>,
    links: Vec<Option<(Link, usize)>>,
}

impl<'a> LinkGrid<'a> {
    pub(super) fn new(reader: &'a Reader<'a>, regions: &'a [Region]) -> LinkGrid<'a> {
        let names: Vec<&str> = regions.iter().map(|region| region.name.as_str()).collect();
        LinkGrid {
            reader,
            index_of: names
                .iter()
                .enumerate()
                .map(|(i, name)| (*name, i))
                .collect(),
            links: vec![None; names.len() * names.len()],
            names,
        }
    }

    pub(super) fn add(
        &mut self,
        stated: &Spanned<LinkFields>,
        defaults: &LinkDefaults,
    ) -> Result<(), ProfileError> {
        let ends = stated
            .get_ref()
            .ends()
            .map_err(|advice| self.reader.at(stated.span(), Problem::Fields(advice)))?;
        let from = self.find(ends.from)?;
        let to = self.find(ends.to)?;
        if from == to {
            let name = self.names[from].to_owned();
            return Err(self.reader.at(stated.span(), Problem::SelfLink { name }));
        }
        let link = self.reader.link(stated, defaults)?;
        if ends.both_directions {
            self.set(to, from, (link.clone(), stated.span()))?;
        }
        self.set(from, to, (link, stated.span()))
    }

    /// Sets a region's link to itself, with the offset of the region.
    pub(super) fn set_lan(&mut self, region: usize, lan: (Link, usize)) {
        self.links[region * self.names.len() + region] = Some(lan);
    }

    fn find(&self, name: &Spanned<String>) -> Result<usize, ProfileError> {
        self.index_of
            .get(name.get_ref().as_str())
            .copied()
            .ok_or_else(|| {
                let shown: String = name.get_ref().chars().take(MAX_NAME_CHARACTERS).collect();
                let problem = Problem::UnknownRegion {
                    name: format!("{shown:?}"),
                    known: listed(self.names.iter().map(|name| (*name).to_owned())),
                };
                self.reader.at(name.span(), problem)
            })
    }

    fn set(
        &mut self,
        from: usize,
        to: usize,
        (link, span): (Link, Range<usize>),
    ) -> Result<(), ProfileError> {
        let place = &mut self.links[from * self.names.len() + to];
        if let Some((_, first)) = place {
            let problem = Problem::DuplicateLink {
                from: self.names[from].to_owned(),
                to: self.names[to].to_owned(),
                first_line: self.reader.line(*first),
            };
            return Err(self.reader.at(span, problem));
        }
        *place = Some((link, span.start));
        Ok(())
    }

    pub(super) fn complete(self) -> Result<Vec<Link>, ProfileError> {
        let count = self.links.iter().filter(|link| link.is_none()).count();
        if count > 0 {
            let missing = (0..self.links.len()).filter(|&index| self.links[index].is_none());
            let pairs = listed(missing.map(|index| {
                let (from, to) = (index / self.names.len(), index % self.names.len());
                format!("'{}' to '{}'", self.names[from], self.names[to])
            }));
            return Err(self.reader.whole(Problem::MissingLinks { count, pairs }));
        }
        Ok(self
            .links
            .into_iter()
            .flatten()
            .map(|(link, _)| link)
            .collect())
    }
}
