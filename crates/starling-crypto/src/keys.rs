//! Secret keys, one type for each kind of public key, so that none can sign in another's place.

use alloc::boxed::Box;
use core::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use starling_proto::ids::{
    AccountKey, DeviceKey, LocatorKey, MailboxAddress, NodeKey, PublisherKey, Signature,
};

use crate::secret::Secret;
use crate::sign::SigningDomain;

/// A secret key that signs.
pub trait SigningSecret {
    /// The public key, as a publisher of records.
    fn publisher(&self) -> PublisherKey;

    /// Signs `bytes` in `domain`.
    fn sign(&self, domain: SigningDomain, bytes: &[u8]) -> Signature;
}

/// Defines a secret Ed25519 key with its kind of public key.
macro_rules! signing_secret {
    ($(#[$doc:meta])* $name:ident, $public:ident) => {
        $(#[$doc])*
        ///
        /// On the heap and wiped when dropped.
        pub struct $name(Box<SigningKey>);

        impl $name {
            /// The key of an Ed25519 seed (RFC 8032, section 5.1.5).
            #[must_use]
            pub fn from_seed(seed: &Secret<32>) -> Self {
                Self(Box::new(SigningKey::from_bytes(seed.expose())))
            }

            /// The seed, to be kept in the encrypted database.
            #[must_use]
            pub fn to_seed(&self) -> Secret<32> {
                Secret::copy_of(self.0.as_bytes())
            }

            /// The public key.
            #[must_use]
            pub fn public(&self) -> $public {
                $public::new(self.0.verifying_key().to_bytes())
            }
        }

        impl SigningSecret for $name {
            fn publisher(&self) -> PublisherKey {
                PublisherKey::new(self.0.verifying_key().to_bytes())
            }

            fn sign(&self, domain: SigningDomain, bytes: &[u8]) -> Signature {
                Signature::new(self.0.sign(&domain.message(bytes)).to_bytes())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

signing_secret! {
    /// A user's secret, from the recovery phrase. Used when the account is made or recovered, and not kept.
    AccountSecret, AccountKey
}
signing_secret! {
    /// An installation's secret.
    DeviceSecret, DeviceKey
}
signing_secret! {
    /// A mailbox owner's secret, one for each epoch of a mailbox.
    MailboxSecret, MailboxAddress
}
signing_secret! {
    /// A depositor's secret, one for each contact and mailbox.
    DepositorSecret, PublisherKey
}
signing_secret! {
    /// What publishes a locator, one for each group of contacts.
    LocatorSigner, LocatorKey
}

/// A peer's secret, for the transport alone: it signs nothing of ours.
pub struct NodeSecret {
    seed: Secret<32>,
    /// Kept, since whoever sends a request asks for it, and to make it costs as much as a signature.
    public: NodeKey,
}

impl NodeSecret {
    /// The key of an Ed25519 seed.
    #[must_use]
    pub fn from_seed(seed: Secret<32>) -> Self {
        let public = NodeKey::new(SigningKey::from_bytes(seed.expose()).verifying_key().to_bytes());
        Self { seed, public }
    }

    /// The seed, for the transport and the encrypted database.
    #[must_use]
    pub const fn seed(&self) -> &Secret<32> {
        &self.seed
    }

    /// The public key.
    #[must_use]
    pub const fn public(&self) -> NodeKey {
        self.public
    }
}

impl fmt::Debug for NodeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::unhex32;

    fn seed() -> Secret<32> {
        Secret::copy_of(&[1; 32])
    }

    #[test]
    fn debug_tells_nothing() {
        insta::assert_snapshot!(
            format!(
                "{:?} {:?} {:?} {:?} {:?} {:?}",
                AccountSecret::from_seed(&seed()),
                DeviceSecret::from_seed(&seed()),
                MailboxSecret::from_seed(&seed()),
                DepositorSecret::from_seed(&seed()),
                LocatorSigner::from_seed(&seed()),
                NodeSecret::from_seed(seed())
            ),
            @"AccountSecret(..) DeviceSecret(..) MailboxSecret(..) DepositorSecret(..) LocatorSigner(..) NodeSecret(..)"
        );
    }

    #[test]
    fn the_public_key_is_that_of_rfc_8032() {
        // Section 7.1, test 1.
        let text = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let seed = Secret::copy_of(&unhex32(text));
        let public = AccountSecret::from_seed(&seed).public();
        assert_eq!(public.as_bytes()[..4], [0xd7, 0x5a, 0x98, 0x01]);
        assert_eq!(NodeSecret::from_seed(seed).public().as_bytes(), public.as_bytes());
    }

    #[test]
    fn a_seed_comes_back() {
        assert_eq!(DeviceSecret::from_seed(&seed()).to_seed(), seed());
    }
}
